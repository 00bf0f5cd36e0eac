"""What the reader is given: picture files, folders of them, and pictures in a program's memory."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from birnn_cli.errors import ConfigError, ImageError
from birnn_cli.reader import Reader
from birnn_cli.reader.colour import to_grey
from birnn_cli.reader.decode import ENDINGS, MAX_BYTES, count_pages, find_images, turn_upright
from birnn_cli.reader.geometry import Pixels
from birnn_cli.reader.light import Invert
from birnn_cli.reader.read import ReaderStages, read_grey, read_stages

InMemory = NDArray[Any] | Image.Image

STDIN = "-"


class Source(NamedTuple):
    """Where a picture comes from."""

    path: str  # of its file, as the user gave it; `-` for stdin
    folder: str | None = None  # that it was found in, if it was not named itself
    content: Any = None  # the picture itself, where it is in memory: bytes, an array or a PIL image

    @property
    def name(self) -> Path:
        """The relative path, ending in `.png`, under which pictures about it are saved."""
        if self.folder is not None:
            return Path(self.path).relative_to(self.folder).with_suffix(".png")
        return Path("stdin.png" if self.path == STDIN else Path(self.path).stem + ".png")

    @property
    def num_bytes(self) -> int:
        """How large the picture is: its file or, in memory, its pixels; 0 where that is unknown."""
        if isinstance(self.content, Image.Image):
            return 4 * self.content.width * self.content.height
        if self.content is not None:
            return memoryview(self.content).nbytes
        try:
            return os.stat(self.path).st_size  # noqa: PTH116 - for every one of very many
        except (OSError, ValueError):
            return 0


def find_pictures(
    paths: Iterable[str], leave_out: Callable[[str], None] | None = None
) -> Iterator[Source]:
    """Files as they are, and folders as the pictures in them; a folder without any gives itself.

    `leave_out` is called with what is passed over in folders, as `find_images` says.
    """
    for path in paths:
        empty = True
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 - the text stays as it was given
            for file in find_images(path, leave_out):
                empty = False
                yield Source(file, path)
        if empty:
            yield Source(path)


def take_shard(sources: list[Source], number: int, shards: int) -> list[Source]:
    """The shard 3 of 8 is the third of eight parts, which one after the other make up the whole."""
    total = len(sources)
    return sources[total * (number - 1) // shards : total * number // shards]


def read_source(
    source: Source, reader: Reader, invert: Invert, *, full_size: bool
) -> tuple[ReaderStages, int]:
    """Read a picture, wherever it is, as `read_stages` does; also, how many pages or frames it has.

    Raises an ImageError where it is missing or no picture; a ConfigError where `grey_levels` does.
    """
    content = _read_file(source.path) if source.content is None else source.content
    if isinstance(content, bytes):
        return read_stages(content, reader, invert, full_size=full_size), count_pages(content)
    return read_grey(grey_levels(content), reader, invert), 1


def _read_file(path: str) -> bytes:
    """The bytes of a picture's file; of one that is too large, as many as show that it is."""
    if path == STDIN:
        raise ImageError("stdin is a terminal, expected a picture piped in: birnn predict - < 7.png")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - for every one of very many
        if stat.S_ISDIR(mode):
            os.listdir(path)  # noqa: PTH208 - says so if it may not be read
            raise ImageError(f"no pictures in this folder, expected files in {'|'.join(ENDINGS)}")
        if not stat.S_ISREG(mode):
            raise ImageError("this is no plain file, expected a picture")
        with open(path, "rb") as opened:  # noqa: PTH123
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', error)})") from None


def is_in_memory(picture: object) -> TypeGuard[InMemory]:
    """Whether something is a picture of the kinds that `grey_levels` takes."""
    return isinstance(picture, np.ndarray | Image.Image)


def grey_levels(picture: InMemory) -> Pixels:
    """Grey levels (height, width) uint8 of a picture in memory.

    It is a PIL image, an ImageError if its file is damaged; or an array (height, width), (height, width,
    3) for RGB or (height, width, 4) for RGBA, uint8 or floating point in 0 to 1, else a ConfigError.
    """
    if isinstance(picture, Image.Image):
        try:
            return to_grey(turn_upright(picture))
        except MemoryError:
            raise
        except Exception as error:  # Pillow passes on whatever exception a decoder raises
            raise ImageError(f"the picture is damaged ({error})") from None
    if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,), (4,)) or not picture.size:
        raise ConfigError(
            f"a picture of shape {picture.shape}, expected (height, width), (height, width, 3) or "
            "(height, width, 4); several pictures go in a list"
        )
    if np.issubdtype(picture.dtype, np.floating):
        if not (picture.min() >= 0 and picture.max() <= 1):  # refuses not-a-number too
            raise ConfigError("a picture of floating point numbers, expected all of them in 0 to 1")
        picture = (picture * 255.0).round().astype(np.uint8)
    if picture.dtype != np.uint8:
        raise ConfigError(f"a picture of dtype {picture.dtype}, expected uint8, or floats in 0 to 1")
    return picture if picture.ndim == 2 else to_grey(Image.fromarray(picture))
