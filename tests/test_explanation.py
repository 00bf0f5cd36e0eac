"""`birnn predict --explain`: parts of the picture are answered to as they would be alone."""

import io
import re
import sys
from dataclasses import replace
from math import exp, log, tanh
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.errors import ConfigError
from birnn_cli.explanation import Explanation, explain
from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import Readout
from birnn_cli.network.rows import to_rows
from birnn_cli.report import explanation_figure
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint
from tests.conftest import EXAMPLES, run_birnn

SEVEN = EXAMPLES / "digits" / "7-photo.jpg"
SHIPPED = checkpoint.load(folders.SHIPPED)


def network(readout: Readout, hidden_size: int, classes: str, seed: int | None = None) -> Checkpoint:
    """A small network of one layer that reads rows alone: its weights zero, or drawn from a seed."""
    config = SHIPPED.config
    recipe = replace(config.recipe, readout=readout, hidden_size=hidden_size, layers=1, columns=False)
    config = replace(config, recipe=recipe, classes=tuple(classes))
    random = np.random.default_rng(seed)
    weights = {
        name: np.zeros(shape, np.float32) if seed is None else random.normal(0, 0.5, shape).astype("f4")
        for name, shape in config.architecture.parameter_shapes().items()
    }
    return replace(SHIPPED, metadata=replace(SHIPPED.metadata, config=config), weights=weights)


def answer_to(network: Checkpoint, pixels: np.ndarray) -> np.ndarray:
    """The plain answer to one picture by itself."""
    architecture = network.config.architecture
    logits = numpy_engine.logits(architecture, network.weights, to_rows(pixels[None]))
    return numpy_engine.probabilities(logits)[0]


def drawing(label: int = 3) -> np.ndarray:
    images, labels = strokes.draw("validation", 100)
    return images[labels == label][0]


NETWORKS = [SHIPPED, *(network(readout, 6, "abcde", seed=1) for readout in ("last", "states", "pool"))]


@pytest.mark.parametrize("own", NETWORKS)
def test_each_part_is_answered_to_as_a_picture_of_it_alone(own: Checkpoint) -> None:
    pixels = drawing()
    explanation = explain(own, pixels)
    whole = answer_to(own, pixels)
    for likely in (explanation.probabilities, explanation.downwards[27], explanation.upwards[0]):
        np.testing.assert_allclose(likely, whole, atol=1e-5)
    assert explanation.answer == whole.argmax()
    for row in (0, 9, 14, 20):
        upper, lower, without = pixels.copy(), pixels.copy(), pixels.copy()
        upper[row + 1 :] = 0
        lower[:row] = 0
        without[row] = 0
        np.testing.assert_allclose(explanation.downwards[row], answer_to(own, upper), atol=1e-5)
        np.testing.assert_allclose(explanation.upwards[row], answer_to(own, lower), atol=1e-5)
        left = answer_to(own, without)[explanation.answer]
        assert explanation.falls[row] == pytest.approx(
            log(whole[explanation.answer]) - log(left), abs=1e-4
        )


def test_the_backward_direction_of_last_hears_the_last_row_alone_computed_by_hand() -> None:
    """One unit a direction; the head sees the backward one, whose candidate sees the first pixel."""
    own = network("last", 1, "ab")
    own.weights["layers.0.bw.weight_ih"][2, 0] = 2.0  # gates i, f, g, o
    own.weights["head.weight"][1] = (0.0, 10.0)
    explanation = explain(own, np.full((28, 28), 255, np.uint8))
    output = 0.5 * tanh(0.5 * tanh(2.0))
    p = 1 / (1 + exp(-10 * output))
    np.testing.assert_allclose(explanation.probabilities, [1 - p, p], rtol=1e-5)
    np.testing.assert_allclose(explanation.downwards[:, 1], [0.5] * 27 + [p], rtol=1e-5)
    np.testing.assert_allclose(explanation.upwards[:, 1], [p] * 28, rtol=1e-5)
    # Without the last row the answer's log-probability falls: that row speaks for it.
    np.testing.assert_allclose(explanation.falls, [0] * 27 + [log(p / 0.5)], atol=1e-5)


@pytest.mark.parametrize("readout", ["last", "states", "pool"])
def test_without_weights_all_classes_are_as_likely_and_no_row_matters(readout: Readout) -> None:
    explanation = explain(network(readout, 4, "abcd"), drawing())
    for likely in (explanation.probabilities, explanation.downwards, explanation.upwards):
        assert (likely == 0.25).all()
    assert not explanation.falls.any()


def test_a_row_that_is_blank_already_takes_nothing_away() -> None:
    pixels = drawing()
    blank = ~pixels.any(axis=1)
    falls = explain(SHIPPED, pixels).falls
    assert blank.any() and np.abs(falls[blank]).max() < 1e-5 < np.abs(falls[~blank]).max()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a 7, an empty page, a file that is no picture, and a folder of two pictures."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "two").mkdir()
    for name in ("7.jpg", "two/a.jpg", "two/b.jpg"):
        (folder / name).write_bytes(SEVEN.read_bytes())
    Image.new("L", (60, 90), 255).save(folder / "blank.png")
    (folder / "text.png").write_bytes(b"hello")
    return folder


def test_the_file_is_a_picture_and_the_result_is_what_it_is_without(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "how.png"
    plain = run_birnn("predict", "7.jpg", cwd=here)
    done = run_birnn("predict", "7.jpg", "--explain", file, cwd=here)
    assert (done.code, done.out, done.err) == (0, plain.out, plain.err)
    with Image.open(file) as picture:
        assert picture.format == "PNG" and picture.width == 1210
    content = file.read_bytes()
    file.write_bytes(b"mine")
    done = run_birnn("predict", "7.jpg", "--explain", file, cwd=here)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "exists already" in done.err and "--force" in done.err and file.read_bytes() == b"mine"
    run_birnn("predict", "7.jpg", "--explain", file, "--force", cwd=here)
    assert file.read_bytes() == content


def test_the_terminal_shows_a_line_a_row_plain_in_a_pipe(here: Path) -> None:
    done = run_birnn("predict", "7.jpg", "--explain", "-", "-q", cwd=here)
    assert done.out == run_birnn("predict", "7.jpg", "-q", cwd=here).out
    lines = done.err.splitlines()[3:]
    assert [int(line.split()[0]) for line in lines] == list(range(28))
    assert lines[0].split()[3:5] == lines[27].split()[1:3] == ["7", "100%"]
    assert "@@" in done.err and "\x1b" not in done.err
    colours = {"NO_COLOR": "", "FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}
    done = run_birnn("predict", "7.jpg", "--explain", "-", "-q", cwd=here, **colours)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.err).splitlines()
    assert "48;2;255;255;255" in done.err and max(map(len, shown)) <= 80 and len(shown) == 31


@pytest.mark.parametrize(("name", "code"), [("blank.png", 0), ("text.png", 1), ("nowhere.png", 1)])
def test_without_an_answer_there_is_the_usual_line_and_no_file(
    here: Path, tmp_path: Path, name: str, code: int
) -> None:
    done = run_birnn("predict", name, "--explain", tmp_path / "how.png", cwd=here)
    assert (done.code, done.out) == (code, run_birnn("predict", name, cwd=here).out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("7.jpg", "blank.png", "--explain", "how.png"), "one picture"),
        (("two", "--explain", "-"), "one picture"),
        (("7.jpg", "--several", "--explain", "how.png"), "--several"),
        (("7.jpg", "--explain", "how.jpg"), ".png"),
        (("7.jpg", "--explain", "no/how.png"), "no folder no"),
        (("blank.png", "--explain", "blank.png", "--force"), "the picture itself"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    here: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run_birnn("predict", *arguments, cwd=here)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1), done.err
    assert words in done.err and not (here / "how.png").exists()


def test_without_matplotlib_the_line_names_what_to_install_and_the_terminal_still_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not there
    with pytest.raises(ConfigError, match=r'pip install "birnn-cli\[report\]"'):
        explanation_figure.check(tmp_path / "how.png", ["7.png"], several=False, force=False)
    explanation_figure.check(Path("-"), ["7.png"], several=False, force=False)


def test_of_a_long_folder_no_more_than_two_pictures_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(paths: object):
        yield from ("a", "b")
        raise AssertionError("looked further")

    monkeypatch.setattr(explanation_figure, "find_pictures", endless)
    with pytest.raises(ConfigError, match="one picture"):
        explanation_figure.check(Path("-"), ["scans"], several=False, force=False)


@pytest.mark.parametrize("names", [["$_^$", "a_b^", "数字"], [f"class number {k}" for k in range(40)]])
def test_classes_of_any_name_and_number_are_drawn(names: list[str]) -> None:
    parts = np.eye(len(names))[1 + np.arange(28) % (len(names) - 1)]  # each of another class
    explanation = Explanation(
        classes=tuple(names),
        pixels=drawing(),
        probabilities=np.eye(len(names))[0],
        downwards=parts,
        upwards=parts,
        falls=np.linspace(-1, 2, 28),
    )
    assert explanation_figure._shown(explanation)[0] == 0  # the answer is among them
    with Image.open(io.BytesIO(explanation_figure.draw(explanation, "$_^$ (1 %)"))) as picture:
        assert picture.width == 1210
