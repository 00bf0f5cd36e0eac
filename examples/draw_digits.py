"""Draw example pictures as people bring them, what the network reads of each, and its prediction.

python examples/draw_digits.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from birnn_cli import prediction
from birnn_cli.cli.outputs import write_explanation
from birnn_cli.data import strokes
from birnn_cli.explanation import explain
from birnn_cli.reader import read
from birnn_cli.reader.inputs import find_pictures
from birnn_cli.reader.stages import draw_stages
from birnn_cli.runs import checkpoint, folders

HERE = Path(__file__).parent
DIGITS, SHEET = HERE / "digits", HERE / "what_the_network_reads.png"
NUMBER, NUMBER_STAGES = HERE / "number.jpg", HERE / "how_a_number_is_read.png"
STAGES, EXPLAINED = HERE / "how_a_photo_is_read.png", HERE / "how_an_answer_comes_about.png"
# Pixels on each side of a picture on the sheet, and between two of them.
TILE, GAP = 112, 16
# How far digits lean to the right at the top, for each unit of height.
SLANT = 0.15


def write_digit(
    digit: int, template: int, size: tuple[int, int], height: float, pen_width: float
) -> Image.Image:
    """A digit in white on black, in the middle of a picture, written with a round pen.

    Args:
        digit: 0 to 9.
        template: Which of the digit's templates.
        size: Width and height of the picture, in pixels.
        height: Of the digit, in pixels.
        pen_width: In pixels.
    """
    chosen = strokes.templates()[digit][template]
    points = chosen.spline @ chosen.control_points
    points[:, 0] -= SLANT * points[:, 1]
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) * (height / (high - low)[1]) + np.array(size) / 2
    # It is drawn at four times its size and averaged down, for smooth edges.
    large = Image.new("L", (4 * size[0], 4 * size[1]))
    draw, start, radius = ImageDraw.Draw(large), 0, 2 * pen_width
    for end in chosen.curve_ends:
        curve = 4 * points[start:end]
        draw.line(curve.ravel().tolist(), fill=255, width=round(4 * pen_width), joint="curve")
        for x, y in curve.tolist():
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        start = end
    return large.reduce(4)


def paint(ink: Image.Image, paper: str, colour: str) -> Image.Image:
    """Ink of one colour on paper of another."""
    return Image.composite(Image.new("RGB", ink.size, colour), Image.new("RGB", ink.size, paper), ink)


def photo(ink: Image.Image) -> Image.Image:
    """A ball-pen digit on a page in the light of one lamp, taken by a small camera."""
    page = np.asarray(paint(ink, "#e9e4d8", "#25408f"), float)
    y, x = np.mgrid[0 : 1 : 1j * ink.height, 0 : 1 : 1j * ink.width]
    lamp = 0.45 + 0.55 * np.exp(-((x - 0.2) ** 2 + (y - 0.1) ** 2))
    grain = np.random.default_rng(0).normal(0, 5, page.shape)
    lit = (page * lamp[..., None] + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(lit).filter(ImageFilter.GaussianBlur(1.5))


def transparent(ink: Image.Image) -> Image.Image:
    """Black ink on a transparent background."""
    picture = Image.new("RGBA", ink.size, "black")
    picture.putalpha(ink)
    return picture


def sixteen_bits(ink: Image.Image) -> Image.Image:
    """Dark ink with 16 bits a pixel."""
    return Image.fromarray((60_000 - 100 * np.asarray(ink, np.uint16)).astype(np.uint16))


def pictures() -> dict[str, Image.Image]:
    """Every example by its file name, which begins with the digit that it shows."""
    small, labels = strokes.sample("examples", 100)
    return {
        "1-mnist.png": Image.fromarray(small[labels == 1][6]),
        "0-pencil.png": paint(write_digit(0, 1, (800, 1000), 420, 5), "#fdfdfd", "#8a8a8a"),
        "2-tiny.bmp": paint(write_digit(2, 0, (24, 30), 22, 2.4), "white", "black"),
        "3-marker.png": paint(write_digit(3, 1, (400, 400), 300, 34), "white", "black"),
        "4-16-bit.tif": sixteen_bits(write_digit(4, 1, (300, 320), 220, 14)),
        "5-blackboard.webp": paint(write_digit(5, 1, (640, 480), 330, 22), "#1f3d2f", "#f2f2e6"),
        "6-palette.gif": paint(write_digit(6, 0, (160, 200), 150, 13), "#ffe9a8", "#7a1020").quantize(8),
        "7-photo.jpg": photo(write_digit(7, 2, (1200, 900), 560, 24)),
        "8-inverted.png": write_digit(8, 0, (256, 256), 170, 16),
        "9-transparent.png": transparent(write_digit(9, 0, (200, 260), 190, 15)),
    }


def number() -> Image.Image:
    """A photo of the number 2017 as a person writes it, its digits of unlike heights."""
    digits = [(2, 0, 330), (0, 1, 270), (1, 1, 300), (7, 2, 320)]
    ink = np.hstack([write_digit(*each, (280, 520), height, 18) for *each, height in digits])
    return photo(Image.fromarray(ink))


def sheet(answers: list[prediction.Prediction]) -> Image.Image:
    """A sheet with each picture, the 28×28 pixels that the network reads of it, and its prediction."""
    step, font = TILE + GAP, ImageFont.load_default(20)
    page = Image.new("RGB", (GAP + step * len(answers), 2 * step + GAP + 30), "white")
    draw = ImageDraw.Draw(page)
    for number, answer in enumerate(answers):
        left = GAP + number * step
        with Image.open(answer.source.path) as picture:
            if picture.mode.startswith("I;16"):
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            shown = picture.convert("RGBA")
        shown.thumbnail((TILE, TILE))
        corner = (left + (TILE - shown.width) // 2, GAP + (TILE - shown.height) // 2)
        page.paste(shown, corner, shown)
        draw.rectangle((left - 1, GAP - 1, left + TILE, GAP + TILE), outline="#c8c8c8")
        assert answer.pixels is not None
        rows = Image.fromarray(answer.pixels).resize((TILE, TILE), Image.Resampling.NEAREST)
        page.paste(rows, (left, GAP + step))
        text = f"{answer.top[0].label}   {answer.top[0].probability:.1%}"
        draw.text((left + TILE / 2, 2 * step + GAP + 10), text, "black", font, "mm")
    return page


def main() -> None:
    """Draw all pictures, have the shipped model read them, and draw how it reads them."""
    DIGITS.mkdir(exist_ok=True)
    for name, picture in pictures().items():
        picture.save(DIGITS / name, quality=85)
    number().save(NUMBER, quality=85)
    shipped = checkpoint.load(folders.SHIPPED)
    answers = list(prediction.predict(shipped, find_pictures([str(DIGITS)])))
    sheet(answers).save(SHEET, optimize=True)
    stages = read.read_stages((DIGITS / "7-photo.jpg").read_bytes())
    Image.fromarray(draw_stages(stages)).save(STAGES, optimize=True)
    seven = answers[7]
    assert seven.pixels is not None
    write_explanation(EXPLAINED, explain(shipped, seven.pixels), seven)
    options = prediction.Options(several=True, stages=True)
    (read_number,) = prediction.predict(shipped, find_pictures([str(NUMBER)]), options)
    print(read_number)
    assert read_number.stages is not None
    Image.fromarray(read_number.stages).save(NUMBER_STAGES, optimize=True)


if __name__ == "__main__":
    main()
