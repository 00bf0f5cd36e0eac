"""The public API: one picture or many, from files or memory; every mistake an error of ours."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import birnn_cli as birnn
from birnn_cli.data import strokes
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader.decode import encode_png
from birnn_cli.runs import checkpoint, folders
from tests.conftest import EXAMPLES, make_network, write_mnist

DIGITS = EXAMPLES / "digits"
PHOTO = DIGITS / "7-photo.jpg"


@pytest.fixture(scope="module")
def model() -> birnn.Model:
    return birnn.load()


def photo() -> np.ndarray:
    with Image.open(PHOTO) as picture:
        return np.asarray(picture)


def test_the_import_is_quick_and_every_public_name_is_there_with_its_docstring() -> None:
    program = (
        "import sys, birnn_cli as birnn\n"
        "assert not {'numpy', 'torch', 'PIL', 'cv2', 'typer', 'rich'} & set(sys.modules)\n"
        "names = set(birnn.__all__) - {'train', 'Run'}\n"
        "assert all(getattr(birnn, name).__doc__ for name in names)\n"
        "assert names <= set(dir(birnn))\n"
        "assert 'torch' not in sys.modules and 'typer' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = birnn.nothing


def test_a_model_is_loaded_from_a_file_or_a_run_and_says_what_it_is(
    model: birnn.Model, trained: Path
) -> None:
    assert model.path == folders.SHIPPED and model.classes == tuple("0123456789")
    assert model.metadata.config.dataset == "mnist"
    assert "shipped.safetensors: mnist, 0 1 2" in repr(model) and "validation accuracy 99" in repr(model)
    for path in (trained, str(trained), trained / checkpoint.FILE_NAME):
        assert birnn.load(path).path == trained / checkpoint.FILE_NAME


@pytest.mark.parametrize("path", [b"x", 3, ["a.safetensors"]], ids=str)
def test_what_is_no_path_is_refused_by_load(path: object) -> None:
    with pytest.raises(birnn.ConfigError, match=r"path is .*, expected"):
        birnn.load(path)  # type: ignore[arg-type]


def test_a_checkpoint_that_is_not_there_or_none_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(bytes(64))
    for path in (tmp_path / "nowhere", tmp_path / "junk"):
        with pytest.raises(birnn.CheckpointError, match=path.name):
            birnn.load(path)


def test_one_picture_gives_one_prediction_wherever_it_is(model: birnn.Model) -> None:
    rgb = photo()
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    pictures = [str(PHOTO), PHOTO, rgb, rgb / 255, rgba, Image.fromarray(rgb)]
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    for picture in [*pictures, grey, grey / np.float32(255)]:
        found = model.predict(picture)
        assert isinstance(found, birnn.Prediction)
        assert (found.label, found.status) == ("7", "ok")
        assert found.source.content is None
    exact = model.predict(rgb)
    for picture in (rgb / 255, rgba, Image.fromarray(rgb), grey):
        np.testing.assert_array_equal(model.predict(picture).pixels, exact.pixels)


def test_an_image_in_mnists_convention_keeps_its_pixels(model: birnn.Model) -> None:
    images, _ = strokes.sample("test", 20)
    for image, found in zip(images, model.predict(list(images)), strict=True):
        np.testing.assert_array_equal(found.pixels, image)


def test_many_pictures_give_an_iterator_in_their_order_and_a_bad_one_its_error(
    model: birnn.Model, tmp_path: Path
) -> None:
    shutil.copytree(DIGITS, tmp_path / "scans")
    wrong_shape = np.zeros((2, 3, 5), np.uint8)
    pictures = [photo(), str(tmp_path / "scans"), "nowhere.png", wrong_shape, PHOTO]
    found = model.predict(iter(pictures), top_k=2)
    assert isinstance(found, Iterator)
    labels = [each.label for each in found]
    assert labels == ["7", *"0123456789", None, None, "7"]
    *_, nowhere, shaped, _ = model.predict(pictures, top_k=2)
    assert nowhere.error == ("image", "no such file")
    assert shaped.error is not None and shaped.error[0] == "config" and "(2, 3, 5)" in shaped.error[1]
    assert [each.label for each in model.predict(tmp_path / "scans")] == [*"0123456789"]


def test_a_string_is_one_path_and_never_its_characters(model: birnn.Model) -> None:
    with pytest.raises(birnn.ImageError, match=r"^7\.png: no such file$"):
        model.predict("7.png")
    (dash,) = model.predict(["-"])
    assert dash.error == ("image", "no such file")  # a file's name, not stdin


def test_a_page_without_ink_is_no_error_and_has_no_label(model: birnn.Model) -> None:
    found = model.predict(np.full((50, 40), 255, np.uint8))
    assert (found.status, found.label, found.probability, found.pixels) == ("no-ink", None, None, None)


def test_several_digits_are_one_prediction_with_its_digits(model: birnn.Model) -> None:
    images, labels = strokes.sample("validation", 40)
    pair = images[[int(np.flatnonzero(labels == label)[0]) for label in (3, 7)]]
    page = np.zeros((60, 120), np.uint8)
    page[10:38, 10:38], page[10:38, 70:98] = pair
    assert model.predict(page).status == "unsure"
    found = model.predict(page, several=True, top_k=3)
    assert found.label == "".join(each.label for each in found.digits) and len(found.digits) == 2
    product = found.digits[0].probability * found.digits[1].probability
    assert 0 < found.probability <= product  # it may be cut otherwise
    assert len(found.top) == 3 and len(found.digits[0].top) == 3


@pytest.mark.parametrize(
    "picture",
    [
        *(b"7.png", 7, None, np.zeros((3, 28, 28, 1), np.uint8), np.zeros(28, np.uint8)),
        *(np.zeros((0, 28), np.uint8), np.zeros((28, 28), np.int64), np.full((28, 28), 1.5)),
        *(np.full((28, 28), np.nan), np.full((28, 28), -0.5), np.zeros((28, 28), bool)),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{getattr(value, 'shape', '')}-{getattr(value, 'dtype', '')}"
    ),
)
def test_what_is_no_picture_is_refused_in_one_line(model: birnn.Model, picture: object) -> None:
    with pytest.raises(birnn.ConfigError, match=r"^a picture of .*, expected [^\n]+$"):
        model.predict(picture)  # type: ignore[call-overload]


def test_something_else_among_pictures_is_refused(model: birnn.Model) -> None:
    for wrong in (b"7.png", 7):
        with pytest.raises(birnn.ConfigError, match="expected a path, a NumPy array or a PIL image"):
            list(model.predict([PHOTO, wrong]))  # type: ignore[list-item]


@pytest.mark.parametrize(
    "wrong", [{"top_k": 0}, {"top_k": "1"}, {"invert": "maybe"}, {"jobs": 0}, {"jobs": 1.5}], ids=str
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(
    model: birnn.Model, wrong: dict[str, object]
) -> None:
    with pytest.raises(birnn.ConfigError, match=f"^{next(iter(wrong))} is "):
        model.predict([], **wrong)  # type: ignore[arg-type]


def test_a_damaged_pil_image_is_an_image_error(model: birnn.Model, tmp_path: Path) -> None:
    content = encode_png(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8))
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "cut.png") as picture:
        with pytest.raises(birnn.ImageError, match="damaged"):
            model.predict(picture)
        (found,) = model.predict([picture])
    assert found.error is not None and found.error[0] == "image"
    assert found.source.path == str(tmp_path / "cut.png")


def test_predictions_work_in_a_thread_with_processes_and_print_nothing(
    model: birnn.Model, capfd: pytest.CaptureFixture[str]
) -> None:
    found: list[birnn.Prediction] = []
    pictures = list(strokes.sample("test", 50)[0]) * 11
    thread = threading.Thread(target=lambda: found.extend(model.predict(pictures, jobs=2)))
    thread.start()
    thread.join(120)
    alone = model.predict(pictures)
    assert [each.label for each in found] == [each.label for each in alone] and len(found) == 550
    assert capfd.readouterr() == ("", "")


def test_evaluate_scores_the_first_images_of_a_data_set(
    model: birnn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path, test=150)
    for scores in (
        model.evaluate(data_dir=tmp_path),
        model.evaluate("mnist", samples=128, split="test", data_dir=str(tmp_path)),
    ):
        assert isinstance(scores, birnn.Evaluation) and scores.n == 128
    assert model.evaluate(samples=None, data_dir=tmp_path).n == 150
    monkeypatch.setenv("BIRNN_DATA_DIR", str(tmp_path))
    assert model.evaluate().n == 128
    with pytest.raises(birnn.DataError, match="150"):
        model.evaluate(samples=151)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"samples": 0}, birnn.ConfigError),
        ({"samples": 1.5}, birnn.ConfigError),
        ({"split": "train"}, birnn.ConfigError),
        ({"dataset": "nothing"}, birnn.DataError),
    ],
    ids=str,
)
def test_an_evaluation_that_cannot_be_is_refused(
    model: birnn.Model, wrong: dict[str, object], error: type[birnn.BirnnError]
) -> None:
    with pytest.raises(error, match=str(next(iter(wrong.values())))):
        model.evaluate(**wrong)  # type: ignore[arg-type]


def test_explain_tells_what_the_rows_say_of_one_picture(model: birnn.Model) -> None:
    explanation = model.explain(PHOTO)
    assert isinstance(explanation, birnn.Explanation)
    assert model.classes[explanation.probabilities.argmax()] == "7"
    with pytest.raises(birnn.ImageError, match="no ink"):
        model.explain(np.zeros((40, 40), np.uint8))
    with pytest.raises(birnn.ConfigError, match="one picture"):
        model.explain(DIGITS)


@pytest.mark.parametrize("readout", ["last", "states", "pool"])
def test_to_torch_is_the_same_network(readout: str, tmp_path: Path) -> None:
    saved = make_network(readout=readout)
    checkpoint.save(tmp_path / "network.safetensors", saved)
    network = birnn.load(tmp_path / "network.safetensors").to_torch()
    assert isinstance(network, torch.nn.Module) and not network.training
    rows = to_rows(strokes.sample("test", 20)[0])
    with torch.no_grad():
        logits = network(torch.from_numpy(rows)).numpy()
    expected = numpy_engine.logits(saved.config.architecture, saved.weights, rows)
    assert logits.shape == (20, 10)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
