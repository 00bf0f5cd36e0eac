"""The numbers of a report: the mistakes, the calibration bins, the training curves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from birnn_cli.evaluation import LabelledLogits
from birnn_cli.runs.config import RunConfig
from tests.report.inputs import findings_of, metadata, random_outputs, run_config, write_metrics


def curves(
    folder: Path, config: RunConfig | None = None, step: int = 781
) -> dict[str, dict[int, float]]:
    """The curves of a run in this folder, as a report with a checkpoint of this step has them."""
    report = findings_of(random_outputs(1), folder)
    return replace(report, metadata=metadata(config or run_config(), step)).curves


def test_the_most_confident_mistakes_come_first(tmp_path: Path) -> None:
    logits = np.log(
        np.array(
            [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.0625, 0.0625, 0.875], [0.15, 0.8, 0.05]], np.float32
        )
    )
    outputs = LabelledLogits(
        np.zeros((4, 28, 28), np.uint8), np.array([1, 1, 0, 0]), logits, ("a", "b", "c")
    )
    wrong = findings_of(outputs, tmp_path).mistakes
    assert [each.number for each in wrong] == [2, 3, 0]
    assert [(each.label, each.top[0][0]) for each in wrong] == [(0, 2), (0, 1), (1, 0)]
    assert [k for k, _ in wrong[1].top] == [1, 0, 2]
    assert [probability for _, probability in wrong[1].top] == pytest.approx([0.8, 0.15, 0.05], rel=1e-5)


@pytest.mark.parametrize("n", [1, 7, 3000])
def test_the_bins_gaps_sum_to_the_calibration_error(n: int, tmp_path: Path) -> None:
    report = findings_of(random_outputs(n), tmp_path)
    bins = report.bins
    assert sum(each.n for each in bins) == n
    for each in bins:
        assert each.low <= each.confidence <= each.high + 1e-9 and 0 <= each.correct <= each.n
    gaps = sum(each.n / n * abs(each.correct / each.n - each.confidence) for each in bins)
    assert gaps == pytest.approx(report.scores.ece, abs=1e-9)


@pytest.mark.parametrize("ending", [b"", b'{"step": 30, "samp', b'{"step": 30}', b"\xff\n", b"[]\n"])
def test_the_curves_are_the_rows_of_the_run_without_a_damaged_line(
    tmp_path: Path, ending: bytes
) -> None:
    write_metrics(tmp_path, ending)
    found = curves(tmp_path)
    assert found["loss, training batch"] == {1280: 1.5, 2560: 1.0}
    assert found["accuracy, training batch"] == {1280: 0.5, 2560: 0.75}
    assert found["loss, validation"] == {2560: 1.25}


def test_rows_after_the_checkpoint_are_not_its_own(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    assert curves(tmp_path, step=19)["loss, training batch"] == {1280: 1.5}


def test_without_a_run_there_are_no_curves(tmp_path: Path) -> None:
    assert curves(tmp_path) == {}


def test_the_notebooks_printed_values_are_shown_for_its_recipe_on_mnist_alone(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    printed = curves(tmp_path)
    # The first and the last line that the notebook printed, of 78: every ten steps of 128 images.
    assert list(printed["loss, original notebook"]) == [1280 * k for k in range(1, 79)]
    assert printed["loss, original notebook"][1280] == 1.880477
    assert printed["accuracy, original notebook"][99_840] == 0.98438
    for other in (
        run_config(recipe="fast"),
        run_config(dataset="strokes"),
        run_config(dataset="/data/mnist"),
    ):
        assert not any("notebook" in title for title in curves(tmp_path, other))
