"""A hundred awkward files of one 7: each is read as a 7."""

import io
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from birnn_cli.errors import ImageError
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import read
from birnn_cli.runs import checkpoint, folders


def drawing(side: int = 300, pen: int = 16, ink: int = 20, paper: int = 240) -> Image.Image:
    """A 7 of straight strokes, off the centre of its page; turned or mirrored, it is no 7."""
    page = Image.new("L", (side, side), paper)
    points = [(0.25, 0.2), (0.62, 0.2), (0.40, 0.78)]
    ImageDraw.Draw(page).line([(x * side, y * side) for x, y in points], ink, pen, joint="curve")
    return page


PAGE = drawing()
LEVELS = np.asarray(PAGE)
DEEP = LEVELS.astype(np.uint16) * 257


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def by_opencv(ending: str, levels: np.ndarray) -> bytes:
    """What Pillow cannot write: 16 bits a channel."""
    return cv2.imencode(ending, levels)[1].tobytes()


def turned(kind: str, orientation: int) -> bytes:
    """The 7 as a turned camera stores it, with the EXIF orientation that turns it upright."""
    undo = {
        **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180},
        **{4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE},
        **{6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270},
    }
    wide = PAGE.crop((20, 0, 300, 300)).convert("RGB")
    stored = wide.transpose(undo[orientation]) if orientation > 1 else wide
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(stored, kind, exif=exif)


def on_transparency(ink: int, mode: str) -> Image.Image:
    """Ink of one grey level on a transparent background."""
    alpha = Image.fromarray(255 - np.asarray(drawing(ink=0, paper=255)))
    grey = Image.new("L", alpha.size, ink)
    return Image.merge("LA", (grey, alpha)).convert(mode)


def on_a_page(width: int, height: int) -> Image.Image:
    page = Image.new("L", (width, height), 240)
    page.paste(drawing(min(width, height), max(2, min(width, height) // 18)), (width // 3, 0))
    return page


def files() -> Iterator[tuple[str, bytes]]:
    """The name and the content of every file."""
    modes = {
        "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
        "JPEG": ["L", "RGB", "CMYK", "YCbCr"],
        "BMP": ["1", "L", "P", "RGB", "RGBA"],
        "GIF": ["1", "L", "P", "RGB", "RGBA"],
        "WEBP": ["L", "RGB", "RGBA", "P"],
        "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
    }
    for kind, own in modes.items():
        for mode in own:
            deep = mode in ("I;16", "I")
            picture = Image.fromarray(DEEP).convert(mode) if deep else PAGE.convert(mode)
            yield f"{kind} {mode}", encode(picture, kind)
        for orientation in range(1, 9):
            if kind in ("PNG", "JPEG", "WEBP", "TIFF"):
                yield f"{kind} EXIF {orientation}", turned(kind, orientation)
    for name, options in {
        "progressive": {"progressive": True},
        "poor": {"quality": 8},
        "subsampled": {"subsampling": 2, "quality": 50},
        "restart markers": {"restart_marker_rows": 1},
    }.items():
        yield f"JPEG {name}", encode(PAGE.convert("RGB"), "JPEG", **options)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        yield f"TIFF {compression}", encode(PAGE, "TIFF", compression=compression)
    yield "TIFF fax", encode(PAGE.convert("1"), "TIFF", compression="group4")
    yield "TIFF big", encode(PAGE, "TIFF", big_tiff=True)
    yield "TIFF float 0 to 1", encode(Image.fromarray(LEVELS.astype(np.float32) / 255), "TIFF")
    yield "TIFF pages", encode(PAGE, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])
    yield "PNG interlaced palette", encode(PAGE.quantize(4), "PNG", bits=2)
    yield "PNG animated", encode(PAGE, "PNG", save_all=True, append_images=[drawing(ink=200)])
    yield "GIF animated", encode(PAGE, "GIF", save_all=True, append_images=[drawing(ink=200)])
    yield "GIF not interlaced", encode(PAGE, "GIF", interlace=0)
    yield "WEBP animated", encode(PAGE, "WEBP", save_all=True, append_images=[drawing(ink=200)])
    yield "WEBP lossless", encode(PAGE, "WEBP", lossless=True)
    colour = np.stack([DEEP, DEEP, DEEP], axis=-1)
    clear = np.full_like(DEEP, 65535)
    for ending in (".png", ".tiff"):
        yield f"16-bit RGB {ending}", by_opencv(ending, colour)
        yield f"16-bit RGBA {ending}", by_opencv(ending, np.dstack([colour, clear]))
    for ink in (0, 255):
        for mode in ("LA", "RGBA"):
            for kind in ("PNG", "WEBP", "TIFF"):
                if (kind, mode) != ("WEBP", "LA"):
                    yield (
                        f"{kind} {mode} ink {ink} on transparency",
                        encode(on_transparency(ink, mode), kind),
                    )
    palette = Image.fromarray((LEVELS < 128).astype(np.uint8), "P")
    for ink in (0, 255):
        palette.putpalette([128, 128, 128, ink, ink, ink])
        yield f"PNG palette ink {ink} on transparency", encode(palette, "PNG", transparency=0)
        yield f"GIF palette ink {ink} on transparency", encode(palette, "GIF", transparency=0)
    for colours in ((0, 0, 160), (200, 0, 0), (0, 110, 0), (110, 110, 110)):
        picture = Image.composite(
            Image.new("RGB", PAGE.size, "white"),
            Image.new("RGB", PAGE.size, colours),
            PAGE.point(lambda level: 255 if level > 128 else 0),
        )
        yield f"pen {colours}", encode(picture, "PNG")
    for ink, paper in ((255, 0), (60, 0), (255, 200), (130, 160), (0, 40)):
        yield f"ink {ink} on {paper}", encode(drawing(ink=ink, paper=paper), "PNG")
    for side, pen in (
        (20, 2),
        (28, 2),
        (64, 1),
        (200, 40),
        (1000, 1),
        (1000, 2),
        (1000, 150),
        (3000, 90),
    ):
        yield f"{side} pixels, pen {pen}", encode(drawing(side, pen), "PNG")
    for width, height in ((6000, 4000), (4000, 400), (900, 300), (300, 1200)):
        yield f"{width} by {height}", encode(on_a_page(width, height), "JPEG")


FILES = dict(files())
NETWORK = checkpoint.load(folders.SHIPPED)


def label(content: bytes) -> str | None:
    """What the shipped model reads; None where there is no ink."""
    pixels = read.read_pixels(content)
    if pixels is None:
        return None
    config = NETWORK.config
    logits = numpy_engine.logits(config.architecture, NETWORK.weights, to_rows(pixels[None]))
    return config.classes[int(logits.argmax())]


def test_there_are_a_hundred_files() -> None:
    assert len(FILES) >= 100


@pytest.mark.parametrize("name", FILES)
def test_an_awkward_file_is_read_as_a_7(name: str) -> None:
    assert label(FILES[name]) == "7"


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 500), (500, 1), (2, 2), (3, 900)], ids=lambda size: f"{size[0]} by {size[1]}"
)
@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_too_small_for_ink_has_none(size: tuple[int, int], level: int) -> None:
    assert label(encode(Image.new("L", size, level), "PNG")) is None


@pytest.mark.parametrize("kind", ["PPM", "PCX", "TGA", "JPEG2000", "ICO", "PDF", "EPS"])
def test_another_format_is_refused_and_the_accepted_ones_are_named(kind: str) -> None:
    with pytest.raises(ImageError, match="expected PNG, JPEG, BMP, GIF, WEBP, TIFF"):
        read.read_pixels(encode(PAGE.convert("RGB"), kind))
