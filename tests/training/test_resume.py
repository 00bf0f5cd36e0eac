"""A run that goes on: what may differ from its beginning, what is refused, what a failed start is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import birnn_cli as birnn
from birnn_cli.errors import CheckpointError, RunError
from birnn_cli.runs import checkpoint, folders
from birnn_cli.training.run import Run, RunContext
from tests.conftest import TESTS, run_birnn, write_mnist
from tests.training.faults import same

ROOT = TESTS.parent
SHORT: dict[str, Any] = {"dataset": "mnist", "device": "cpu", "hidden_size": 4, "batch_size": 50}
SHORT |= {"display_step": 3, "samples": 401}  # eight steps


@pytest.fixture
def data(small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small MNIST, for runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIRNN_DATA_DIR", str(small_data))
    return small_data


def begin(output: str | None = "run", *, steps: int = 4, **options: Any) -> Path:
    """A run that was interrupted after some steps, all saved."""
    run = Run.begin(**{**SHORT, **options}, output=output, save_every=1e-9)
    results = run.steps()
    for _ in range(steps):
        next(results)
    results.close()
    return run.folder


def edit(folder: Path, **values: Any) -> None:
    """Change values of a run's description, those of its recipe too."""
    config = json.loads((folder / "config.json").read_text())
    for name, value in values.items():
        within = config["recipe"] if name in config["recipe"] else config
        within[name] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_a_start_that_failed_is_repeated_by_the_same_command(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "own")
    labels = tmp_path / "own" / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:100])
    options = {**SHORT, "data_dir": "own"}
    for _ in range(2):
        with pytest.raises(birnn.DataError):
            birnn.train(**options)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    labels.write_bytes(whole)
    assert birnn.train(**options).folder == Path("runs/notebook-1")


def test_a_folder_in_which_no_step_was_taken_holds_no_run(data: Path) -> None:
    """As after a power cut in the first step: the same command begins it, a bare --resume passes it."""
    run = Run.begin(**SHORT, output="runs/a")
    del run
    with pytest.raises(RunError, match="no interrupted run under runs/ to resume: name one"):
        Run.resume()
    assert birnn.train(**{**SHORT, "samples": 301}, output="runs/a").result().steps == 6


@pytest.mark.parametrize("display_step", [3, 4])
def test_a_finished_run_that_goes_on_longer_is_the_run_that_was_asked_for_it(
    display_step: int, data: Path
) -> None:
    """Also where its old end is a display step, whose row loses the validation alone."""
    options = {**SHORT, "display_step": display_step}
    birnn.train(**{**options, "samples": 801}, output="whole")
    birnn.train(**options, output="run")
    longer = Run.resume(output="run", samples=801, save_every=1e-9)
    steps = longer.steps()
    next(steps)
    steps.close()  # interrupted once more: the larger number stays
    assert checkpoint.load(longer.checkpoint).metadata.validation is None
    shutil.copytree("run", "runs/run")
    assert Run.resume().total_steps == 16
    assert birnn.train(resume=True, output="run").result().steps == 16
    assert same(Path("run"), Path("whole"))
    assert birnn.train(resume=True, output="run", samples=801).result().first_step == 16


@pytest.mark.parametrize("options", [{}, {"schedule": "one-cycle"}])
def test_a_run_that_cannot_reach_other_samples_says_how_to_begin_from_it(
    options: dict[str, str], data: Path
) -> None:
    birnn.train(**SHORT, **options, output="run")
    before = (Path("run") / "config.json").read_bytes()
    for samples in (301, *([801] if options else [])):
        with pytest.raises(birnn.ConfigError, match=f"--samples {samples} .*run with --init run$"):
            Run.resume(output="run", samples=samples)
    assert (Path("run") / "config.json").read_bytes() == before


def test_a_run_goes_on_on_another_device_and_that_is_said(data: Path) -> None:
    folder = begin(output="run")
    edit(folder, device="cuda:7", precision="tf32")
    with pytest.raises(birnn.ConfigError, match=r"'cuda:7' cannot be used here.*--device auto goes on"):
        Run.resume(output="run")
    said: list[str] = []
    context = RunContext(warn=said.append)
    rest = Run.resume(output="run", device="cpu", precision="tf32", context=context)
    assert said == [
        "the run in run was on cuda:7 and continues on cpu: from here on its numbers may differ in "
        "their last bits"
    ]
    assert rest.config.device == "cpu" and rest.config.recipe.precision in ("float32", "bfloat16")
    list(rest.steps())
    del rest
    said.clear()  # from now on it is a run of that device
    assert birnn.train(resume=True, output="run", context=context).is_finished and not said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch_size", 64), ("hidden_size", 8), ("samples", 351), ("seed", 1), ("layers", 2)],
        *[("precision", "bfloat16"), ("classes", list("9876543210")), ("data_sha256", None)],
    ],
)
def test_a_description_that_does_not_fit_its_checkpoint_is_refused(
    name: str, value: object, data: Path
) -> None:
    edit(begin(), **{name: value})
    with pytest.raises(RunError, match=f"config.json says {name} .* put it back, or begin") as refused:
        Run.resume(output="run")
    assert "\n" not in str(refused.value)


def test_a_run_whose_data_have_changed_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "own")
    begin(data_dir="own")
    write_mnist(tmp_path / "own", train=5299)
    with pytest.raises(RunError, match=r"images of mnist are not those that the run in run began with"):
        Run.resume(output="run", data_dir="own")
    assert birnn.train(resume=True, output="run").is_finished


def damaged(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def foreign(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["Llama"]}')


def newer(folder: Path) -> None:
    edit(folder, recipe={"warmth": 3})


@pytest.mark.parametrize("change", [damaged, foreign, newer])
def test_a_folder_that_cannot_be_understood_does_not_stand_in_the_way_of_the_others(
    change: Callable[[Path], None], data: Path
) -> None:
    begin("runs/a")
    change(begin("runs/b"))
    said: list[str] = []
    assert Run.resume(context=RunContext(warn=said.append)).folder == Path("runs/a")
    assert len(said) == 1 and "\n" not in said[0]
    assert said[0].startswith("passed over: runs/b/config.json cannot be understood (")


@pytest.mark.parametrize("started_at", [None, 7, "yesterday", "1999-01-01T00:00:00"])
def test_a_run_that_does_not_say_when_it_was_begun_is_not_the_newest(
    started_at: object, data: Path
) -> None:
    begin("runs/a")
    edit(begin("runs/b"), started_at=started_at)
    assert Run.resume().folder == Path("runs/a")


def test_runs_that_other_processes_are_at_work_in_are_named(data: Path) -> None:
    begin("runs/a")
    Run.begin(**SHORT, output="runs/b")  # no step yet
    in_use = pytest.raises(RunError, match=r"other processes are at work in runs/b, runs/a: name one")
    with FileLock("runs/a/.lock"), FileLock("runs/b/.lock"), in_use:
        Run.resume()
    assert Run.resume().folder == Path("runs/a")


def test_given_weights_may_be_named_again_once_their_file_is_gone(data: Path, trained: Path) -> None:
    shutil.copytree(trained, "given")
    options = {"init": "given", "hidden_size": 128}
    begin(**options)
    shutil.rmtree("given")
    assert birnn.train(resume=True, output="run", **options).is_finished
    with pytest.raises(birnn.ConfigError, match=r"--init .*other differs from .*given"):
        Run.resume(output="run", init="other")


def test_the_advice_for_a_recipe_that_given_weights_do_not_suit_works(data: Path, trained: Path) -> None:
    options = {"recipe": "best", "init": trained, "dataset": "mnist", "samples": 301, "device": "cpu"}
    options |= {"mix_strokes": 0.0, "mix_outliers": 0.0}
    with pytest.raises(birnn.ConfigError, match="take --dropout 0, or, without --init, --layers 2"):
        Run.begin(**options)
    assert Run.begin(**options, dropout=0.0).config.recipe.layers == 1


def test_a_folder_is_free_though_the_error_of_a_callback_is_kept(data: Path) -> None:
    """As a notebook keeps the last exception, and with it all that its frames refer to."""

    def fail(_: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as kept:
        birnn.train(**SHORT, output="run", save_every=1e-9, on_step=fail)
    assert kept.traceback and birnn.train(resume=True, output="run").is_finished


def test_a_refused_checkpoint_leaves_the_folder_free(data: Path) -> None:
    saved = begin() / checkpoint.FILE_NAME
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError) as kept:
        Run.resume(output="run")
    saved.write_bytes(whole)
    assert kept and folders.lock_folder(Path("run")).is_locked


def test_training_without_torch_is_one_line_and_reading_goes_on(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    done = run_birnn("train", "--dataset", "strokes", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.code, done.err) == (
        1,
        "birnn train: training needs torch, which cannot be imported (No module named 'torch'): pip "
        "install torch torchvision; predict, eval, info and export work without it\n",
    )
    digit = ROOT / "examples" / "digits"
    read = run_birnn("predict", digit, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert read.code == 0 and not (tmp_path / "runs").exists()
