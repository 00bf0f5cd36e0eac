"""Pictures and labels: where they come from and how they become what the network reads."""
