"""From a user's picture to 28 by 28: formats, depths, polarity, MNIST's convention, bad files."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.errors import ImageError
from birnn_cli.reader import decode, read
from birnn_cli.reader.normalise import centre_by_mass, is_normalised

# One of ordinary ink: a thin pen's would be widened.
DIGIT = sorted(strokes.sample("pictures", 20)[0], key=np.sum)[14]


def encode(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def page(ink: int = 0, paper: int = 255, side: int = 280) -> np.ndarray:
    """The digit on a larger page, off the centre: (side * 2, side * 2) uint8."""
    large = (
        np.asarray(Image.fromarray(DIGIT).resize((side, side), Image.Resampling.BICUBIC), float) / 255
    )
    whole = np.zeros((2 * side, 2 * side))
    whole[:side, side // 2 : side // 2 + side] = large
    return (paper + whole * (ink - paper)).round().astype(np.uint8)


def likeness(found: np.ndarray | None) -> float:
    """Correlation with the digit as it was drawn; a pixel of shift is the convention's own rounding."""
    assert found is not None
    shifted = [np.roll(found, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(float(np.corrcoef(each.ravel(), DIGIT.ravel())[0, 1]) for each in shifted)


def test_an_image_in_mnists_convention_passes_bit_for_bit() -> None:
    for digit in strokes.sample("pictures", 200)[0]:
        for picture in (Image.fromarray(digit), Image.fromarray(digit).convert("RGB")):
            found = read.read_pixels(encode(picture))
            assert found is not None
            np.testing.assert_array_equal(found, digit)


def test_all_real_test_images_pass_bit_for_bit(real_mnist: Path) -> None:
    pictures, _ = open_data_set("mnist", real_mnist).load("test")
    assert all(is_normalised(picture) for picture in pictures)
    for picture in pictures[:200]:
        np.testing.assert_array_equal(read.read_pixels(encode(picture)), picture)


@pytest.mark.parametrize(
    ("ink", "paper"), [(0, 255), (255, 0), (90, 200), (200, 90), (120, 160), (60, 0)]
)
@pytest.mark.parametrize("side", [40, 280, 900])
def test_ink_is_found_at_any_polarity_contrast_and_size(ink: int, paper: int, side: int) -> None:
    assert likeness(read.read_pixels(encode(page(ink, paper, side)))) > 0.9


def test_a_dark_28_by_28_drawing_on_white_is_brought_to_the_convention() -> None:
    found = read.read_pixels(encode(255 - DIGIT))
    assert likeness(found) > 0.95
    assert is_normalised(found)  # type: ignore[arg-type]


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
def test_ink_on_nothing_is_ink(ink: int) -> None:
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
def test_exif_orientation_is_obeyed(orientation: int) -> None:
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


def test_uneven_light_specks_and_a_frame_are_left_out() -> None:
    levels = page(60, 220).astype(float)
    levels -= np.linspace(0, 60, levels.shape[1])
    levels[20:24, 30:34] = 40
    levels[:4] = levels[-4:] = 30
    levels[:, :4] = levels[:, -4:] = 30
    assert likeness(read.read_pixels(encode(levels.clip(0, 255).astype(np.uint8)))) > 0.9


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(("ink", "paper"), [(40, 230), (220, 30)])
def test_the_light_of_one_lamp_does_not_exchange_ink_and_paper(turn: int, ink: int, paper: int) -> None:
    """The paper is bright near one corner alone; most of its border is as dark as ink is there."""
    y, x = np.mgrid[0:1:560j, 0:1:560j]
    lamp = 0.2 + 0.8 * np.exp(-2 * ((x - 0.3) ** 2 + (y - 0.2) ** 2))
    levels = (page(ink, paper) * lamp).round().astype(np.uint8)
    found = read.read_pixels(encode(np.rot90(levels, turn)))
    assert found is not None
    assert likeness(np.rot90(found, -turn)) > 0.9


def squared(step: int, grey: int, *, columns: bool) -> np.ndarray:
    """A page of ruled or squared paper with the digit on it."""
    levels = page(20, 240)
    lines = np.full_like(levels, 240)
    lines[7::step] = lines[8::step] = grey
    if columns:
        lines[:, 9::step] = lines[:, 10::step] = grey
    return np.minimum(levels, lines)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("grey", [90, 150, 200])
@pytest.mark.parametrize("step", [28, 75])
def test_the_lines_of_the_paper_are_no_ink(step: int, grey: int, columns: bool) -> None:
    assert likeness(read.read_pixels(encode(squared(step, grey, columns=columns)))) > 0.85


def test_one_line_from_edge_to_edge_is_no_ink_but_a_digit_that_fills_its_picture_is() -> None:
    levels = page(20, 240)
    levels[400:403] = 60
    assert likeness(read.read_pixels(encode(levels))) > 0.85
    seven = np.full((200, 120), 240, np.uint8)
    seven[:3] = 20  # its bar goes from edge to edge, and thin
    for y in range(200):
        seven[y, 117 - y // 2 :][:3] = 20
    found = read.read_pixels(encode(seven))
    assert found is not None and found[4:8].max() > 100 and found[18:24].max() > 100


def light_falls(kind: str) -> np.ndarray:
    """Dark ink on light paper in uneven light."""
    levels = page(60, 235).astype(np.float32)
    side = len(levels)
    y, x = np.mgrid[:side, :side] / (side / 2) - 1
    light = {
        "vignette": 1 - 0.3 * (x * x + y * y),
        "from one side": 1 - 0.35 * (x + y),
        "sharp shadow": np.where(0.8 * x + y > 0.5, 0.6, 1.0),
        "desk beside the paper": np.where(x < -0.8, 0.2, 1.0),
    }[kind]
    return (levels * light).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("kind", ["vignette", "from one side", "sharp shadow", "desk beside the paper"])
def test_uneven_light_is_no_ink(kind: str, invert: bool) -> None:
    levels = light_falls(kind)
    assert likeness(read.read_pixels(encode(255 - levels if invert else levels))) > 0.85


@pytest.mark.parametrize("spread", [3, 12, 25])
def test_ink_is_found_in_noise_and_none_in_noise_alone(spread: int) -> None:
    noise = np.random.default_rng(1).normal(0, spread, page().shape)
    found = read.read_pixels(encode((page(130, 200) + noise).clip(0, 255).astype(np.uint8)))
    assert likeness(found) > 0.85
    assert read.read_pixels(encode((170 + noise).clip(0, 255).astype(np.uint8))) is None


@pytest.mark.parametrize("slope", [30, 120])
def test_a_fall_of_light_alone_is_no_ink(slope: int) -> None:
    y, x = np.mgrid[:160, :160] / 160
    for levels in (90 + slope * x, 90 + slope * (x + y) / 2, 90 + slope * x * y):
        assert read.read_pixels(encode(levels.astype(np.uint8))) is None


def test_a_form_field_around_the_digit_is_no_ink() -> None:
    levels = page(20, 240)
    rows, columns = np.flatnonzero((levels < 128).any(1)), np.flatnonzero((levels < 128).any(0))
    top, bottom = rows[0] - 20, rows[-1] + 20
    left, right = columns[0] - 25, columns[-1] + 25
    for edge in (np.s_[top : top + 3, left:right], np.s_[bottom : bottom + 3, left:right]):
        levels[edge] = 60
    for edge in (np.s_[top:bottom, left : left + 3], np.s_[top : bottom + 3, right : right + 3]):
        levels[edge] = 60
    assert likeness(read.read_pixels(encode(levels))) > 0.9


def test_ink_may_fill_almost_half_of_a_small_picture() -> None:
    thick = np.zeros((14, 12), np.uint8)
    thick[1:13, 3:9] = 255
    found = read.read_pixels(encode(255 - thick))
    assert found is not None and found[14, 14] > 200


@pytest.mark.parametrize("pen", [1, 3])
def test_lines_of_a_thin_pen_are_as_wide_and_dark_as_mnists(pen: int) -> None:
    canvas = np.full((1000, 1000), 255, np.uint8)
    canvas[200:800, 500 : 500 + pen] = canvas[500 : 500 + pen, 350:650] = 0  # a cross
    found = read.read_pixels(encode(canvas))
    assert found is not None
    across = found[7].astype(float)  # the upright line alone
    assert across.max() > 200
    assert 1.5 <= across.sum() / 255 <= 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (28, 28), (200, 200), (3, 3)])
@pytest.mark.parametrize("level", [0, 9, 128, 255])
def test_an_empty_picture_has_no_ink(shape: tuple[int, int], level: int) -> None:
    assert read.read_pixels(encode(np.full(shape, level, np.uint8))) is None


def test_a_fully_transparent_picture_has_no_ink() -> None:
    assert read.read_pixels(encode(Image.new("RGBA", (60, 60), (0, 0, 0, 0)))) is None


def test_invert_overrules_the_guess() -> None:
    levels = page()
    levels[:, :260] = 0  # most of the border is black now
    found = read.read_pixels(encode(levels[:, 200:]), invert="yes")
    assert found is not None
    white = read.read_pixels(encode(np.pad(DIGIT, 20)), invert="no")
    assert likeness(white) > 0.95


def test_the_plain_reader_makes_grey_and_28_by_28_and_no_more() -> None:
    grey = np.arange(784, dtype=np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(read.read_pixels(encode(grey), "plain"), grey)
    np.testing.assert_array_equal(read.read_pixels(encode(grey), "plain", "yes"), 255 - grey)
    large = np.kron(grey, np.ones((10, 10), np.uint8))
    np.testing.assert_array_equal(read.read_pixels(encode(large), "plain"), grey)


def test_place_puts_the_centre_of_mass_at_pixel_14_by_the_papers_rule() -> None:
    box = np.zeros((1, 20, 20), np.uint8)
    box[0, 4:16, 2:6] = 255  # barycentre (10.0, 4.0): offsets int(15 - b) = 5 and 11, kept within 8
    placed = centre_by_mass(box)
    rows, columns = np.nonzero(placed[0])
    assert (rows.min(), columns.min()) == (4 + 5, 2 + 8)
    box = np.roll(box, 5, axis=2)  # barycentre (10.0, 9.0): offset 6
    rows, columns = np.nonzero(centre_by_mass(box)[0])
    assert (rows.min(), columns.min()) == (9, 7 + 6)


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
        (encode(Image.new("1", (9000, 9000))), "megapixels"),
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
def test_mutated_bytes_give_an_answer_or_a_clean_error(
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


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_any_grey_levels_give_an_image_or_no_ink(height: int, width: int, seed: int, low: int) -> None:
    levels = np.random.default_rng(seed).integers(low, 256, (height, width), dtype=np.uint8)
    found = read.read_pixels(encode(levels))
    assert found is None or found.shape == (28, 28)


def test_images_in_a_folder_are_sorted_and_hidden_ones_skipped(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "c.txt", ".hidden.png", "sub/d.tif", ".sub/e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [str(Path(path).relative_to(tmp_path)) for path in decode.find_images(str(tmp_path))]
    assert found == ["a.jpeg", "b.PNG", "sub/d.tif"]


def test_the_box_of_ink_down_to_the_edge_ends_where_the_picture_does() -> None:
    """Shrunk to 640 pixels, its height is rounded from 258.56 up to 259."""
    picture = np.full((404, 1000), 250, np.uint8)
    picture[134:, 467:533] = 10
    (((left, top, right, bottom), _),) = read.read_stages(encode(picture), full_size=True).split_digits()
    assert bottom == 404
    assert np.abs(np.array([left, top, right]) - [467, 134, 533]).max() <= 2


def test_a_plain_picture_without_any_light_is_its_own_box() -> None:
    ((box, pixels),) = read.read_stages(encode(np.zeros((40, 60), np.uint8)), "plain").split_digits()
    assert box == (0, 0, 60, 40)
    assert not pixels.any()


def test_of_several_digits_none_is_normalised_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    made, own = [], read.normalise
    monkeypatch.setattr(read, "normalise", lambda contrast, ink: made.append(ink) or own(contrast, ink))
    reading = read.read_stages(encode(np.hstack([page(), page(), page()])))
    assert (reading.num_digits, len(list(reading.split_digits()))) == (3, 3)
    assert len(made) == 3
    assert reading.pixels is reading.pixels
    assert len(made) == 4
