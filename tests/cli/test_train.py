"""`birnn train`: its result, its run folder, what it refuses, resuming, first weights of another run."""

import json
import shutil
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.cli.train import show_curves, sparkline
from birnn_cli.data import strokes
from birnn_cli.runs import checkpoint
from birnn_cli.runs.recipes import RECIPES, Recipe
from tests.cli.conftest import assert_refused
from tests.conftest import run_birnn

SHORT = ("--samples", 2700, "--device", "cpu")
TRAIN_KEYS = [
    *("command", "status", "recipe", "dataset", "seed", "device", "steps", "samples", "first_step"),
    *(
        "train_seconds",
        "samples_per_second",
        "parameters",
        "run",
        "checkpoint",
        "final",
        "validation",
    ),
]


def test_training_prints_one_object_and_leaves_a_run(data: dict[str, str], tmp_path: Path) -> None:
    options = ("--dataset", "mnist", *SHORT, "--seed", 5, "--hidden-size", 16)
    done = run_birnn("train", *options, "--json", cwd=tmp_path, **data)
    values = done.json
    assert list(values) == TRAIN_KEYS
    assert {key: values[key] for key in TRAIN_KEYS[:9]} == {
        "command": "train",
        "status": "ok",
        "recipe": "notebook",
        "dataset": "mnist",
        "seed": 5,
        "device": "cpu",
        "steps": 21,
        "samples": 2688,
        "first_step": 0,
    }
    assert values["parameters"] == 2 * (4 * 16 * (28 + 16) + 4 * 16) + 10 * 32 + 10
    assert values["samples_per_second"] == pytest.approx(2688 / values["train_seconds"])
    assert set(values["final"]) == {"loss", "accuracy"}
    assert set(values["validation"]) == {"n", "loss", "accuracy"} and values["validation"]["n"] == 5000
    assert (values["run"], values["checkpoint"]) == (
        "runs/notebook-1",
        "runs/notebook-1/checkpoint.safetensors",
    )
    run = tmp_path / values["run"]
    assert {path.name for path in run.iterdir()} == {
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
        ".lock",
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["samples"]) for row in rows] == [(10, 1280), (20, 2560), (21, 2688)]
    assert [set(row) - {"step", "samples"} for row in rows] == [
        {"loss", "accuracy"},
        {"loss", "accuracy"},
        {"validation_loss", "validation_accuracy"},
    ]
    assert values["final"] == {key: rows[1][key] for key in ("loss", "accuracy")}
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"]["hidden_size"] == 16
    assert config["recipe"]["learning_rate"] == RECIPES["notebook"].learning_rate
    about = checkpoint.load(tmp_path / values["checkpoint"]).metadata
    assert about.complete and about.config.seed == 5 and "torch" in about.versions


def test_every_value_of_the_recipe_can_be_overridden(data: dict[str, str], tmp_path: Path) -> None:
    values = {
        **{"samples": 400, "batch_size": 50, "learning_rate": 0.01, "beta1": 0.8, "beta2": 0.99},
        **{"epsilon": 1e-6, "hidden_size": 8, "layers": 2, "readout": "pool", "dropout": 0.25},
        **{"forget_bias": 0.5, "head_std": 0.2, "display_step": 2, "validate_step": 3},
        **{"optimizer": "muon", "weight_decay": 0.01, "schedule": "one-cycle", "augment": 0.5},
        **{"mix_strokes": 0.1, "mix_outliers": 0.1, "precision": "float32"},
    }
    options = [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", value)]
    options += ["--columns", "--output", "run"]
    values["columns"] = True
    assert values.keys() == {field.name for field in fields(Recipe)}
    assert not values.items() & asdict(RECIPES["notebook"]).items() - {("precision", "float32")}
    done = run_birnn("train", "--dataset", "mnist", *options, cwd=tmp_path, **data)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["recipe"] == values
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "validation_loss" in row] == [3, 6, 7]
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6]


def test_progress_is_plain_rows_in_a_pipe_and_the_result_alone_is_stdout(
    data: dict[str, str], tmp_path: Path
) -> None:
    done = run_birnn("train", "--dataset", "mnist", *SHORT, cwd=tmp_path, **data)
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "loss",
        "accuracy",
        "trained",
        "speed",
        "training",
        "validation",
        "checkpoint",
    ]
    assert "training on mnist, cpu, 1 thread, in runs/notebook-1" in done.err
    assert "`birnn eval --all`" in done.err and "`birnn predict PICTURE`" in done.err
    assert "on 5,000 validation images" in done.err
    assert "\x1b" not in done.out + done.err and "\r" not in done.err
    quiet = run_birnn("train", "--dataset", "mnist", *SHORT, "-q", cwd=tmp_path, **data)
    assert quiet.err == "" and "runs/notebook-2" in quiet.out


def test_auto_without_mnist_and_without_a_network_trains_on_strokes_and_says_so(tmp_path: Path) -> None:
    done = run_birnn("train", "--samples", 300, "--json", cwd=tmp_path)
    assert (done.code, done.json["dataset"]) == (0, "strokes")
    assert "warning: mnist is not in" in done.err and "cannot be downloaded" in done.err
    scored = run_birnn("eval", "--json", "-n", 10, cwd=tmp_path)
    assert scored.json["dataset"] == "strokes"


def test_a_folder_that_holds_a_run_is_refused(here: Path, data: dict[str, str]) -> None:
    before = {path: path.read_bytes() for path in (here / "runs" / "notebook-1").iterdir()}
    options = ("--dataset", "mnist", *SHORT, "--output", "runs/notebook-1")
    assert_refused(run_birnn("train", *options, cwd=here, **data), "finished run", "--output")
    saved = here / "runs" / "notebook-1" / "checkpoint.safetensors"
    content = saved.read_bytes()
    saved.unlink()
    done = run_birnn("train", *options, cwd=here, **data)
    assert_refused(done, "unfinished run", "birnn train --resume --output runs/notebook-1")
    saved.write_bytes(content)
    assert {path: path.read_bytes() for path in saved.parent.iterdir()} == before


def test_resume_says_when_a_run_is_finished_and_when_there_is_none(
    here: Path, data: dict[str, str]
) -> None:
    done = run_birnn("train", "--resume", "--output", "runs/notebook-1", "--json", cwd=here, **data)
    assert done.code == 0 and "is finished" in done.err
    assert (done.json["first_step"], done.json["steps"]) == (21, 21)
    assert done.json["train_seconds"] == done.json["samples_per_second"] == 0
    assert_refused(run_birnn("train", "--resume", cwd=here, **data), "no interrupted run", "--output")
    nowhere = run_birnn("train", "--resume", "--output", "nowhere", cwd=here, **data)
    assert_refused(nowhere, "no run in nowhere")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", 1),
        ("--hidden-size", 99),
        ("--dataset", "strokes"),
        ("--readout", "pool"),
        ("--reader", "plain"),
    ],
)
def test_an_option_beside_resume_must_equal_the_runs(
    option: str, value: object, here: Path, data: dict[str, str]
) -> None:
    done = run_birnn("train", "--resume", "--output", "runs/notebook-1", option, value, cwd=here, **data)
    assert_refused(done, f"{option} {value} differs from")


def write_own_images(folder: Path) -> None:
    """A folder of 0s and 1s as a person has them: one subfolder a class, dark on light, larger."""
    images, labels = strokes.sample("train", 400)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label < 2:
            own = folder / ("zero", "one")[label]
            own.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - image.repeat(4, 0).repeat(4, 1)).save(own / f"{number}.png")


def test_a_folder_of_pictures_is_learned_and_scored(tmp_path: Path) -> None:
    write_own_images(tmp_path / "own")
    options = ("--dataset", "own", "--samples", 1000, "--batch-size", 20, "--output", "run", "-q")
    done = run_birnn("train", *options, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["dataset"] == str(tmp_path / "own")
    scored = run_birnn("eval", "--checkpoint", "run", "--all", "--json", cwd=tmp_path).json
    assert [score["label"] for score in scored["per_class"]] == ["one", "zero"]
    assert scored["accuracy"] > 0.8


def test_training_never_reads_the_test_images(small_data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(small_data / "MNIST" / "raw", raw)
    for file in raw.glob("t10k-*"):
        file.write_bytes(b"not to be read")
    for recipe in RECIPES:
        options = ("--recipe", recipe, "--samples", 300, "--dataset", "mnist", "--output", recipe)
        done = run_birnn("train", *options, "--json", cwd=tmp_path)
        assert done.code == 0, done.err
        assert done.json["validation"]["n"] == 5000
    assert_refused(run_birnn("eval", "--checkpoint", "notebook", cwd=tmp_path), "t10k", "damaged")


def test_a_few_images_of_ones_own_are_enough_from_given_weights(here: Path) -> None:
    write_own_images(here / "own")
    options = ("--dataset", "own", "--samples", 41, "--batch-size", 20, "--learning-rate", 1e-9)
    begun = ("--init", "runs/notebook-1", "--output", "tuned")
    done = run_birnn("train", *options, *begun, "--json", cwd=here)
    assert done.code == 0, done.err
    given, tuned = (
        checkpoint.load(here / run / checkpoint.FILE_NAME)
        for run in (Path("runs/notebook-1"), Path("tuned"))
    )
    assert tuned.config.init == str(here / "runs" / "notebook-1" / checkpoint.FILE_NAME)
    for name, value in given.weights.items():
        if name.startswith("head."):
            assert tuned.weights[name].shape[0] == 2
        else:
            np.testing.assert_allclose(tuned.weights[name], value, atol=1e-6)
    shutil.rmtree(here / "runs" / "notebook-1")  # a run keeps the weights that it began with
    again = run_birnn("train", "--resume", "--output", "tuned", cwd=here)
    assert again.code == 0, again.err


def test_given_weights_of_the_same_classes_keep_their_head(here: Path, data: dict[str, str]) -> None:
    options = ("--dataset", "mnist", *SHORT, "--learning-rate", 1e-9, "--init", "runs/notebook-1")
    done = run_birnn("train", *options, "--output", "tuned", "--json", cwd=here, **data)
    assert done.code == 0, done.err
    before = json.loads(
        run_birnn(
            "eval",
            "--json",
            "--split",
            "validation",
            "--all",
            "--checkpoint",
            "runs/notebook-1",
            cwd=here,
            **data,
        ).out
    )
    assert done.json["validation"]["loss"] == pytest.approx(before["loss"], rel=1e-4)


def test_given_weights_of_another_network_are_refused_before_a_run_is_made(
    here: Path, data: dict[str, str]
) -> None:
    options = ("--dataset", "mnist", "--init", "runs/notebook-1", "--output", "new")
    done = run_birnn("train", *options, "--hidden-size", 64, cwd=here, **data)
    assert_refused(done, "--hidden-size 64", "128", "runs/notebook-1")
    assert_refused(run_birnn("train", *options[:2], "--init", "nowhere", cwd=here, **data), "nowhere")
    assert not (here / "new").exists()


@pytest.mark.parametrize("option", ["--mix-strokes", "--mix-outliers"])
def test_what_is_drawn_for_digits_is_not_mixed_into_other_classes(tmp_path: Path, option: str) -> None:
    write_own_images(tmp_path / "own")
    done = run_birnn("train", "--dataset", "own", option, 0.1, "--output", "new", cwd=tmp_path)
    assert_refused(done, f"{option} 0.1", "one zero")
    assert not (tmp_path / "new").exists()


def test_a_sparkline_goes_from_the_lowest_block_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, 1.0, 2.0]) == "█▁▅"  # the middle is 3.5 of 7, rounded to even
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([5]) == "▁"


def test_of_many_values_a_sparkline_shows_means() -> None:
    assert sparkline([0.0] * 400 + [1.0] * 400) == "▁" * 20 + "█" * 20


@pytest.mark.parametrize("columns", [60, 80])
def test_curves_fit_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show_curves([{"validation_accuracy": k / 100, "loss": 1000.0 - k} for k in range(101)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns
