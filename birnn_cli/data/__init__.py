"""Data sets: where their images and labels come from."""

# How many images are scored unless another number is asked for: as many as in the notebook.
DEFAULT_SAMPLES = 128
