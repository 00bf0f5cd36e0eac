"""Data sets: where their images and labels come from."""
