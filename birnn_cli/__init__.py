"""birnn: a bidirectional LSTM reads an image of a digit row by row and says which digit it is."""

__version__ = "0.1.0"
