"""Picture files: found in folders, decoded to upright grey levels, written as PNG."""

import io
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from birnn_cli.errors import ImageError

Pixels = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")

# Two frames of this size in 32-bit floats, and the decoded picture, stay below 1 GiB.
MAX_PIXELS = 64_000_000
MAX_BYTES = 256 << 20
# JPEG can be decoded at a fraction of its size: no more than a digit needs.
DRAFT_SIDE = 1280


def decode(content: bytes, *, full_size: bool = True) -> Pixels:
    """A picture file's grey levels, upright: (height, width) uint8.

    What is transparent becomes paper, so that ink on nothing is ink.

    Args:
        content: The file's bytes.
        full_size: Whether every pixel is wanted; else a large JPEG is decoded at a fraction of its size.

    Raises:
        ImageError: The bytes are no such picture, damaged, or too large.
    """
    if not content:
        raise ImageError("the file is empty, expected a picture")
    if len(content) > MAX_BYTES:
        raise ImageError(f"the file is over {MAX_BYTES >> 20} MiB, expected a picture of one digit")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ImageError(
                    f"the picture is {picture.width} by {picture.height}, expected at most "
                    f"{MAX_PIXELS // 1_000_000} megapixels: make it smaller"
                )
            if picture.format == "PNG":
                picture.verify()  # the checksum of every chunk, some of which loading skips
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if not full_size:
                picture.draft("L", (DRAFT_SIDE, DRAFT_SIDE))
            return to_grey(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise ImageError(f"this is no picture, expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"the picture is too large, expected at most {MAX_PIXELS // 1_000_000} megapixels"
        ) from None
    # Pillow lets its decoders' own exceptions through, whatever they are.
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as error:
        raise ImageError(f"the picture is damaged ({error})") from None


def to_grey(picture: Image.Image) -> Pixels:
    """Grey levels (height, width) uint8 of any of Pillow's modes."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        deep = np.asarray(picture, np.float64)
        # 16 bits a pixel, unless the values say otherwise: Pillow's own conversion clips at 255.
        highest = deep.max(initial=0)
        top = 65535 if highest > 255 else 1 if picture.mode == "F" and highest <= 1 else 255
        return (deep * (255 / top)).clip(0, 255).round().astype(np.uint8)
    if picture.mode == "LAB":  # lightness is the first of three; Pillow converts it to no other mode
        return np.asarray(picture.getchannel(0))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("L"))
    grey_alpha = np.asarray(picture.convert("RGBA").convert("LA"))
    grey, alpha = grey_alpha[..., 0].astype(np.float32), grey_alpha[..., 1].astype(np.float32) / 255
    opaque = grey[alpha > 0.5]
    # Mostly opaque: the transparent rest continues the paper. Else what is there is ink.
    paper = 255.0 if not len(opaque) or opaque.mean() < 128 else 0.0
    if 2 * len(opaque) > grey.size:
        paper = float(np.median(opaque))
    return (grey * alpha + paper * (1 - alpha)).round().astype(np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """A PNG file of an image (height, width) uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def find_images(folder: str) -> Iterator[str]:
    """The pictures in a folder and below, by their endings, sorted by path, hidden ones skipped.

    A folder that cannot be read is given itself, in its place: reading it says why.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError:
        yield folder
        return
    for name, is_folder in found:
        path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand paths are small as text
        if is_folder:
            yield from find_images(path)
        elif name.lower().endswith(ENDINGS):
            yield path
