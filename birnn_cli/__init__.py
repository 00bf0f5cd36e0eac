"""birnn: a bidirectional LSTM reads an image of a digit row by row and says which digit it is."""

from birnn_cli.version import __version__

__all__ = ["__version__"]
