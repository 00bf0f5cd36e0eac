"""From a user's picture to the 28×28 pixels that the network reads."""
