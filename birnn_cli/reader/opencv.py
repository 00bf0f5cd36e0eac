"""OpenCV, loaded when it is first used: a picture that is 28×28 already is read without it."""

from typing import Any


def __getattr__(name: str) -> Any:
    import cv2

    return getattr(cv2, name)
