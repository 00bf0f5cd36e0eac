"""`birnn eval`: its result, how many images, which data set and which network, the minimum."""

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.cli.evaluate import show_scores
from birnn_cli.data import strokes
from birnn_cli.evaluation import score
from birnn_cli.runs import checkpoint
from tests.cli.conftest import assert_refused
from tests.conftest import run_birnn

EVAL_KEYS = [
    *("command", "status", "checkpoint", "dataset", "split", "n", "correct", "accuracy", "ci95", "loss"),
    *("ece", "per_class", "confusion", "seconds"),
]


def test_eval_scores_the_first_128_test_images_as_the_notebook_does(
    here: Path, data: dict[str, str]
) -> None:
    values = run_birnn("eval", "--json", cwd=here, **data).json
    assert list(values) == EVAL_KEYS
    assert (values["command"], values["status"], values["split"], values["n"]) == (
        *("eval", "ok", "test"),
        128,
    )
    assert values["dataset"] == "mnist"
    assert values["accuracy"] == values["correct"] / 128
    assert values["ci95"][0] < values["accuracy"] < values["ci95"][1]
    confusion = np.array(values["confusion"])
    assert confusion.trace() == values["correct"]
    labels = strokes.sample("test", 128)[1]
    assert confusion.sum(axis=1).tolist() == np.bincount(labels, minlength=10).tolist()
    assert [score["label"] for score in values["per_class"]] == list("0123456789")
    assert set(values["per_class"][0]) == {"label", "n", "correct", "accuracy"}


@pytest.mark.parametrize(
    ("options", "n"),
    [(("-n", 7), 7), (("--all",), 150), (("--split", "validation", "--all"), 5000)],
)
def test_eval_reads_as_many_as_asked(
    options: tuple[object, ...], n: int, here: Path, data: dict[str, str]
) -> None:
    assert run_birnn("eval", "--json", *options, cwd=here, **data).json["n"] == n


def test_validation_scores_are_those_that_training_found(here: Path, data: dict[str, str]) -> None:
    """Torch found them while training, NumPy finds them again."""
    values = run_birnn("eval", "--split", "validation", "--all", "--json", cwd=here, **data).json
    found = checkpoint.load(here / "runs" / "notebook-1" / "checkpoint.safetensors").metadata.validation
    assert found is not None
    assert values["accuracy"] == found["accuracy"]
    assert values["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_more_images_than_there_are_is_an_error_that_names_the_size(
    here: Path, data: dict[str, str]
) -> None:
    assert_refused(run_birnn("eval", "-n", 151, "-q", cwd=here, **data), "150 images", "151")


def test_a_missed_minimum_exits_with_3_and_still_reports(here: Path, data: dict[str, str]) -> None:
    done = run_birnn("eval", "--min-accuracy", 0.9999, "--json", cwd=here, **data)
    assert done.code == 3
    assert (done.json["status"], done.json["error"]["code"]) == ("below-minimum", "below-minimum")
    assert done.json["n"] == 128
    assert run_birnn("eval", "--min-accuracy", 0, cwd=here, **data).code == 0


def test_the_table_can_be_read_at_80_columns(here: Path, data: dict[str, str]) -> None:
    done = run_birnn("eval", "--all", cwd=here, **data)
    assert max(map(len, done.out.splitlines())) <= 80
    rows = [line.split() for line in done.out.splitlines() if line.strip()[:2].strip().isdigit()]
    assert [row[0] for row in rows if len(row) > 11] == list("0123456789")


def test_eval_never_falls_back_on_other_data(here: Path) -> None:
    done = run_birnn("eval", "--json", cwd=here)
    assert (done.code, done.json["error"]["code"]) == (1, "data-unavailable")
    assert done.json["command"] == "eval" and done.json["status"] == "error"


def test_eval_refuses_a_data_set_of_other_classes(here: Path, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(30):
            Image.new("L", (28, 28), 200).save(tmp_path / "pets" / name / f"{number}.png")
    done = run_birnn("eval", "--dataset", "pets", "-n", 1, "-q", cwd=here)
    assert_refused(done, "cat dog", "0 1 2 3 4 5 6 7 8 9")


def write_digits(folder: Path, digits: str, count: int = 30) -> None:
    images, labels = strokes.sample("own", 10 * count)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if str(label) in digits:
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / str(label) / f"{number}.png")


def test_a_folder_with_some_of_the_classes_is_scored(here: Path) -> None:
    write_digits(here / "own", "3579")
    (here / "own" / "8").mkdir()
    (here / "own" / "later").mkdir()
    done = run_birnn("eval", "--dataset", "own", "--split", "all", "--json", cwd=here)
    assert done.code == 0, done.err
    counts = {each["label"]: each["n"] for each in done.json["per_class"]}
    assert {label for label, n in counts.items() if n} == set("3579")
    assert sum(counts.values()) == done.json["n"] == len(list((here / "own").rglob("*.png")))
    assert [each["accuracy"] for each in done.json["per_class"] if each["n"] == 0] == [None] * 6
    assert done.json["split"] == "all"
    assert "no images in the class folders 8, later" in done.err


def test_a_folder_without_splits_scores_the_test_tenth_and_says_so(here: Path) -> None:
    write_digits(here / "own", "0123456789")
    done = run_birnn("eval", "--dataset", "own", "--json", cwd=here)
    assert done.code == 0, done.err
    assert f"the test tenth of its images, {done.json['n']} of" in done.err
    assert "--split all" in done.err
    (here / "own").rename(here / "test")
    (here / "own").mkdir()
    (here / "test").rename(here / "own" / "test")
    done = run_birnn("eval", "--dataset", "own", "--json", cwd=here)
    assert "tenth" not in done.err
    assert done.json["n"] == 128
    assert all(each["n"] for each in done.json["per_class"])


def test_all_images_are_asked_for_without_a_number_and_of_a_folder(
    here: Path, data: dict[str, str]
) -> None:
    assert run_birnn("eval", "--split", "all", "-n", 5, cwd=here, **data).code == 2
    assert_refused(run_birnn("eval", "--split", "all", "-q", cwd=here, **data), "for folders")


def test_an_unknown_data_set_is_named_with_those_there_are(here: Path) -> None:
    for command in ("train", "eval"):
        done = run_birnn(command, "--dataset", "mnits", "-q", cwd=here)
        assert_refused(done, "'mnits'", "mnist", "strokes")


def test_the_newest_complete_run_is_the_default(here: Path, data: dict[str, str]) -> None:
    """Newest by the time in the checkpoint, whatever the files' times and names are."""
    first = here / "runs" / "notebook-1" / checkpoint.FILE_NAME
    saved = checkpoint.load(first)
    for name, seconds, complete in (("zz", -5, True), ("aa", 5, True), ("unfinished", 9, False)):
        shutil.copytree(first.parent, here / "runs" / name)
        moved = datetime.fromtimestamp(
            datetime.fromisoformat(saved.metadata.saved_at).timestamp() + seconds
        )
        about = {
            **vars(saved.metadata),
            "saved_at": moved.astimezone().isoformat(),
            "complete": complete,
        }
        checkpoint.save(
            here / "runs" / name / checkpoint.FILE_NAME,
            checkpoint.Checkpoint(
                metadata=checkpoint.CheckpointMetadata(**about),
                weights=saved.weights,
                training=saved.training,
            ),
        )
    done = run_birnn("eval", "--json", cwd=here, **data)
    assert done.json["checkpoint"] == "runs/aa/checkpoint.safetensors"
    assert "runs/aa" in done.err and "the shipped model" in done.err
    newest = here / "runs" / "aa" / checkpoint.FILE_NAME
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    done = run_birnn("eval", "--json", cwd=here, **data)
    assert done.json["checkpoint"] == "runs/notebook-1/checkpoint.safetensors"
    assert "passed over: runs/aa" in done.err


def test_a_damaged_checkpoint_that_is_named_is_an_error(here: Path, data: dict[str, str]) -> None:
    saved = here / "runs" / "notebook-1" / checkpoint.FILE_NAME
    saved.write_bytes(saved.read_bytes()[:-1] + b"?")
    done = run_birnn("eval", "--checkpoint", "runs/notebook-1", cwd=here, **data)
    assert_refused(done, "is damaged", "SHA-256")


def test_a_flag_beats_the_environment(here: Path, small_data: Path) -> None:
    done = run_birnn("eval", "--data-dir", small_data, "--json", cwd=here, BIRNN_DATA_DIR="nowhere")
    assert done.code == 0, done.err


@pytest.mark.parametrize("same_images", [True, False])
def test_that_the_shipped_model_reads_better_is_a_note_where_both_read_the_same_images(
    same_images: bool, here: Path, data: dict[str, str]
) -> None:
    file = here / "runs" / "notebook-1" / checkpoint.FILE_NAME
    saved = checkpoint.load(file)
    n = 5000 if same_images else 300
    metadata = replace(saved.metadata, validation={"n": n, "loss": 0.5, "accuracy": 0.9})
    checkpoint.save(file, replace(saved, metadata=metadata))
    done = run_birnn("eval", cwd=here, **data)
    assert ("the shipped model reads these better: add --checkpoint shipped" in done.err) == same_images
    assert run_birnn("eval", "-q", cwd=here, **data).err == ""


@pytest.mark.parametrize("classes", [3, 13])  # as a table, and as a list
def test_a_class_name_cannot_steer_the_terminal(
    classes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("a\x1b[31m", "b\nc", *map(str, range(classes - 2)))
    scores = score(np.eye(classes, dtype=np.float32), np.arange(classes), names)
    show_scores(scores, "scores")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a\\x1b[31m" in out and "b\\nc" in out


def test_a_confusion_matrix_too_wide_for_its_terminal_is_a_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple("abcdefghijkl")
    scores = score(np.eye(12, dtype=np.float32).repeat(100, axis=0), np.arange(12).repeat(100), names)
    for columns in (40, 60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        show_scores(scores, "scores")
        out = capsys.readouterr().out
        assert all(f"{name} " in out for name in names)
        assert ("rows: true" in out) == (columns >= 80)
