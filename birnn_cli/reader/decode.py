"""Picture files: decode them to upright grey levels, find them in folders, encode pixels as PNG."""

import io
import os
from collections.abc import Callable, Iterator

from PIL import Image, ImageOps, UnidentifiedImageError

from birnn_cli.errors import ImageError
from birnn_cli.reader.colour import to_grey
from birnn_cli.reader.geometry import Pixels

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Folders, in lower case, that archivers, Python, Synology and Windows make: no pictures of a user's.
SYSTEM_FOLDERS = frozenset(
    ("__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "system volume information")
)

MAX_PIXELS = 89_000_000  # of the largest picture: A3 at 600 dots an inch has 70 million
MAX_BYTES = 256 << 20  # of the largest file that is read
DRAFT_SIDE = 1280  # pixels that each side keeps at least when a picture is decoded at a smaller size


def decode(content: bytes, *, full_size: bool = True) -> Pixels:
    """Decode a picture file to upright grey levels: (height, width) uint8.

    Of several pages or frames, the first one is decoded. Without `full_size`, a large picture is shrunk
    to a fraction of its size; a JPEG is decoded so, in a fraction of the time. An ImageError says that
    the bytes are none of FORMATS, damaged, or too large.
    """
    if not content:
        raise ImageError("the file is empty, expected a picture")
    if len(content) > MAX_BYTES:
        raise ImageError(
            f"the file is over {MAX_BYTES >> 20} MiB, expected a picture of one digit: make it smaller"
        )
    too_large = f"expected at most {MAX_PIXELS // 1_000_000} megapixels: make it smaller"
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"the picture is {width} by {height} pixels, {too_large}")
            if picture.format == "PNG":
                # This checks every chunk's checksum; loading skips some chunks. It uses the picture up.
                picture.verify()
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if not full_size:
                picture.draft(None, (DRAFT_SIDE, DRAFT_SIDE))
            ImageOps.exif_transpose(picture, in_place=True)
            return to_grey(picture if full_size else _reduce(picture))
    except UnidentifiedImageError:
        raise ImageError(f"this is no picture, expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"the picture is too large, {too_large}") from None
    # Pillow passes on whatever exception a decoder raises.
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as error:
        raise ImageError(f"the picture is damaged ({error}): export or copy it again") from None


def _reduce(picture: Image.Image) -> Image.Image:
    """A picture whose sides are much longer than DRAFT_SIDE at a fraction of its size."""
    factor = min(picture.size) // DRAFT_SIDE
    if factor < 2 or picture.mode.startswith(("I", "F")):
        return picture
    if picture.mode in ("1", "P", "PA"):  # numbers of colours have no mean
        transparent = "RGBA" if picture.has_transparency_data else "RGB"
        picture = picture.convert("L" if picture.mode == "1" else transparent)
    return picture.reduce(factor)


def encode_png(pixels: Pixels) -> bytes:
    """Encode an image (height, width) uint8 as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def find_images(folder: str, leave_out: Callable[[str], None] | None = None) -> Iterator[str]:
    """Find the pictures in a folder and its subfolders by their endings, sorted by path.

    Hidden files and folders are skipped, and SYSTEM_FOLDERS. `leave_out` is called with the path of
    each other file and of each linked folder, which is not followed: it can lead back to where it is.
    A folder that cannot be listed is yielded itself, so that reading it reports the reason in its place.
    """
    try:
        with os.scandir(folder) as entries:
            visible = (entry for entry in entries if not is_system_name(entry.name))
            found = sorted(
                (entry.name, entry.is_dir(), entry.is_dir(follow_symlinks=False)) for entry in visible
            )
    except OSError:
        yield folder
        return
    for name, is_folder, is_own_folder in found:
        path = os.path.join(folder, name)  # noqa: PTH118 - a hundred thousand paths are small as text
        if is_own_folder:
            yield from find_images(path, leave_out)
        elif not is_folder and name.lower().endswith(ENDINGS):
            yield path
        elif leave_out is not None:
            leave_out(path)


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or one of SYSTEM_FOLDERS."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS
