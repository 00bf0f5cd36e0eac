"""How a run went: in the terminal at its end, and in TensorBoard."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from birnn_cli.runs.metrics import read_metrics
from tests.conftest import run_birnn

TRAIN = ("--dataset", "mnist", "--device", "cpu", "--hidden-size", 8, "--samples", 5400, "-q")


def test_a_torn_line_of_metrics_is_no_row(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 2.5}\n{"step": 20, "lo')
    assert read_metrics(tmp_path) == [{"step": 10, "loss": 2.5}]


def test_training_ends_with_its_curves(small_data: Path, tmp_path: Path) -> None:
    done = run_birnn("train", *TRAIN, cwd=tmp_path, BIRNN_DATA_DIR=str(small_data))
    losses = [row["loss"] for row in read_metrics(tmp_path / "runs/notebook-1") if "loss" in row]
    first, last = (f"{losses[k]:.4f}" for k in (0, -1))
    (line,) = (line for line in done.out.splitlines() if line.startswith("loss"))
    assert line.split()[1] == first and line.split()[-1] == last
    assert set(line.split()[2]) <= set("▁▂▃▄▅▆▇█")


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_has_the_rows_of_the_metrics(small_data: Path, tmp_path: Path) -> None:
    options = (*TRAIN, "--validate-step", 20, "--tensorboard")
    done = run_birnn("train", *options, cwd=tmp_path, BIRNN_DATA_DIR=str(small_data))
    assert done.code == 0, done.err
    run = tmp_path / "runs" / "notebook-1"
    events = EventAccumulator(str(run))
    events.Reload()
    rows = read_metrics(run)
    for tag, name in (
        ("loss/batch", "loss"),
        ("accuracy/batch", "accuracy"),
        ("loss/validation", "validation_loss"),
        ("accuracy/validation", "validation_accuracy"),
    ):
        kept = {event.step: event.value for event in events.Scalars(tag)}
        assert kept == pytest.approx({row["step"]: row[name] for row in rows if name in row})
