"""From a user's picture to the 28×28 pixels that the network reads."""

from typing import Literal

# How a picture becomes rows: `digit` finds the digit's ink, `plain` only turns grey and resizes.
Reader = Literal["digit", "plain"]
