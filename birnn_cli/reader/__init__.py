"""From a user's picture to the 28×28 pixels that the network reads.

The modules in the order in which a picture passes them: `decode` and `colour` (a file to grey levels),
`sheet` (where the paper is), `light` (the paper's shade is subtracted), `ink` (which pixels are ink,
without the ruled lines that `rules` finds), `normalise` (ink to MNIST's convention). `read` calls them
one after the other, and `stages` draws what each of them made. For whole numbers, `pieces` finds rows of
ink and where they can be cut.
"""

from typing import Literal

# How a picture becomes 28×28: `digit` finds the digit's ink, `plain` only converts to grey and resizes.
Reader = Literal["digit", "plain"]
