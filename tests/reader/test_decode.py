"""Decoding: formats, modes, depths, transparency, orientation, damaged files, folders."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from birnn_cli.errors import ImageError
from birnn_cli.reader import decode, read
from tests.reader.pictures import DIGIT, encode, likeness, page


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_each_format_gives_the_same_digit(kind: str) -> None:
    assert likeness(read.read_pixels(encode(page(), kind))) > 0.95


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_each_mode_gives_the_same_digit(mode: str) -> None:
    levels = page()
    if mode in ("I;16", "I"):
        picture = Image.fromarray(levels.astype(np.uint16) * 257).convert(mode)
    else:
        picture = Image.fromarray(levels).convert(mode)
    kind = "TIFF" if mode in ("CMYK", "F", "I") else "PNG"
    assert likeness(read.read_pixels(encode(picture, kind))) > 0.95


def test_sixteen_bits_keep_their_levels() -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    assert len(np.unique(decode.decode(encode(ramp)))) == 256


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_a_transparent_background_is_ink(ink: int) -> None:
    coverage = 255 - page()
    colour = np.full_like(coverage, ink)
    picture = np.stack([colour, colour, colour, coverage], axis=-1)
    assert likeness(read.read_pixels(encode(picture))) > 0.95


def test_a_page_with_transparent_corners_is_still_paper() -> None:
    picture = Image.fromarray(page()).convert("RGBA")
    for x in range(40):
        for y in range(40 - x):
            picture.putpixel((x, y), (0, 0, 0, 0))
    assert likeness(read.read_pixels(encode(picture))) > 0.95


def test_a_transparent_palette_colour_is_paper() -> None:
    picture = Image.fromarray(np.where(page() < 128, 1, 0).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    assert likeness(read.read_pixels(encode(picture, "PNG", transparency=0))) > 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif_orientation(orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(page())
    stored = picture.transpose(undo[orientation]) if orientation > 1 else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert likeness(read.read_pixels(encode(stored, "JPEG", exif=exif))) > 0.95


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    )


GOOD = encode(page())
HEADER = struct.pack(">IIBBBBB", 65000, 65000, 8, 0, 0, 0, 0)
BOMB = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", HEADER)
    + chunk(b"IDAT", zlib.compress(b""))
    + chunk(b"IEND", b"")
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello", "no picture"),
        (GOOD[: len(GOOD) // 2], "damaged"),
        (GOOD[:60] + bytes([GOOD[60] ^ 255]) + GOOD[61:], "damaged"),
        (BOMB, "megapixels"),
        (encode(Image.new("1", (9500, 9500))), "megapixels"),
        (
            encode(Image.new("1", (9500, 9500))),
            "megapixels",
        ),  # Pillow warns of it, and it is an error here
        (encode(Image.new("L", (20, 20)), "PPM"), "no picture"),
        (encode(Image.new("L", (20, 20)), "PDF"), "no picture"),
    ],
    ids=["empty", "text", "truncated", "flipped", "bomb", "large", "larger", "PPM", "PDF"],
)
def test_a_bad_file_is_a_clean_error(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as error:
        read.read_pixels(content)
    assert "\n" not in str(error.value)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"]),
    place=st.floats(0, 0.999),
    value=st.integers(1, 255),
    cut=st.booleans(),
)
def test_mutated_bytes_give_an_image_or_a_clean_error(
    kind: str, place: float, value: int, cut: bool
) -> None:
    content = bytearray(encode(DIGIT, kind))
    where = int(place * len(content))
    content[where] ^= value
    try:
        found = read.read_pixels(bytes(content[:where] if cut else content))
    except ImageError:
        return
    assert found is None or (found.shape == (28, 28) and found.dtype == np.uint8)


def test_pictures_in_a_folder_are_sorted_and_hidden_ones_are_skipped(tmp_path: Path) -> None:
    for name in (
        "b.PNG",
        "a.jpeg",
        "c.txt",
        ".hidden.png",
        "sub/d.tif",
        ".sub/e.png",
        "__MACOSX/f.png",
        "g.JPE",
        "h.jfif",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    left_out: list[str] = []
    found = [
        str(Path(path).relative_to(tmp_path))
        for path in decode.find_images(str(tmp_path), left_out.append)
    ]
    assert found == ["a.jpeg", "b.PNG", "g.JPE", "h.jfif", "sub/d.tif"]
    assert left_out == [str(tmp_path / "c.txt")]
