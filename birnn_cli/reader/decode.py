"""Picture files: decode them to upright grey levels, find them in folders, encode pixels as PNG."""

import ctypes
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

from PIL import Image, UnidentifiedImageError, _imaging

from birnn_cli.errors import ConfigError, ImageError
from birnn_cli.optional import require
from birnn_cli.reader.colour import to_grey
from birnn_cli.reader.geometry import Pixels

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
ENDINGS = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff")
HEIC_ENDINGS = (".heic", ".heif")  # read where the extra `heic` is installed
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
# Folders, in lower case, that archivers, Python, Synology and Windows make: no pictures of a user's.
SYSTEM_FOLDERS = frozenset(
    ("__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "system volume information")
)

MAX_PIXELS = 89_000_000  # of the largest picture: A3 at 600 dots an inch has 70 million
MAX_BYTES = 256 << 20  # of the largest file that is read
DRAFT_SIDE = 1280  # pixels that each side keeps at least when a picture is decoded at a smaller size


# What turns a picture upright, by its EXIF orientation.
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    formats = _formats(content)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"the picture is {width} by {height} pixels, {too_large}")
            if picture.format == "PNG":
                # This checks every chunk's checksum; loading skips some chunks. It uses the picture up.
                picture.verify()
        with Image.open(io.BytesIO(content), formats=formats) as picture:
            if not full_size:
                picture.draft(None, (DRAFT_SIDE, DRAFT_SIDE))
            upright = turn_upright(picture)
            if picture.format == "TIFF" and getattr(_libtiff, "found_damage", False):
                raise ValueError("libtiff reports errors in it")
            return to_grey(upright if full_size else _reduce(upright))
    except UnidentifiedImageError:
        raise ImageError(f"this is no picture, expected {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"the picture is too large, {too_large}") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow passes on whatever exception a decoder raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"the picture is damaged ({reason}): export or copy it again") from None


def turn_upright(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF orientation says; EXIF that cannot be parsed is passed over."""
    picture.load()  # it, not its EXIF, is damaged where this fails
    try:
        with warnings.catch_warnings():  # of several orientations Pillow would take the first
            warnings.filterwarnings("error", f"Metadata Warning, tag {ORIENTATION} ")
            turn = UPRIGHT.get(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises whatever its parsers do
        turn = None
    return picture if turn is None else picture.transpose(turn)


def count_pages(content: bytes) -> int:
    """How many pages or frames a picture file that can be decoded has.

    The further pictures of a JPEG are a camera's own (depth, brightness), and count as none.
    """
    is_png = content.startswith(b"\x89PNG")
    if content.startswith((b"\xff\xd8", b"BM")) or (is_png and b"acTL" not in content[: 1 << 16]):
        return 1
    try:
        with Image.open(io.BytesIO(content), formats=_formats(content)) as picture:
            return int(getattr(picture, "n_frames", 1))
    except Exception:  # a damaged page after the first, which is good
        return 1


def is_heic_installed() -> bool:
    """Whether the extra `heic` is installed."""
    return find_spec("pillow_heif") is not None


def _formats(content: bytes) -> tuple[str, ...]:
    """The formats that Pillow is to try; what they need is made ready."""
    if content[4:8] == b"ftyp" and content[8:12] in HEIC_BRANDS:
        try:
            require("pillow_heif", "heic").register_heif_opener()
        except ConfigError as error:
            raise ImageError(f"this is a HEIC picture: {error}") from None
        return ("HEIF",)
    if content.startswith((b"II", b"MM")):
        _libtiff.found_damage = False
        _listen_to_libtiff()
    return FORMATS


_libtiff = threading.local()  # `found_damage`: whether it has reported some, in this thread


def _note_damage(module: object, message: object, values: object) -> None:
    _libtiff.found_damage = True


# A module's own: C calls it as long as the process lives.
_ERROR_HANDLER = ctypes.CFUNCTYPE(None, *3 * [ctypes.c_void_p])(_note_damage)


@cache
def _listen_to_libtiff() -> None:
    """Have libtiff write nothing on stderr of what is damaged; Pillow raises for some of it alone."""
    with suppress(AttributeError, OSError):  # a Pillow without libtiff, or one that hides it
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(_ERROR_HANDLER)


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
    endings = ENDINGS + HEIC_ENDINGS * is_heic_installed()
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
        elif not is_folder and name.lower().endswith(endings):
            yield path
        elif leave_out is not None:
            leave_out(path)


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or one of SYSTEM_FOLDERS."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS
