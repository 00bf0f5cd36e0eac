"""The version of birnn, for the package, the command line and every checkpoint."""

__version__ = "0.5.2"
