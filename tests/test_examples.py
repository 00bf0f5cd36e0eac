"""The examples do what they say, with the model that ships."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import birnn_cli as birnn
from birnn_cli.network.architecture import Readout
from birnn_cli.runs.recipes import RECIPES
from tests.conftest import EXAMPLES, child_environment, run_birnn


def test_every_example_picture_is_read_as_the_digit_that_its_name_begins_with(tmp_path: Path) -> None:
    done = run_birnn("predict", EXAMPLES / "digits", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 10
    for line in lines:
        name, _, answer = line.partition(": ")
        assert answer.startswith(Path(name).name[0] + " ("), line


def test_the_example_number_is_read_whole(tmp_path: Path) -> None:
    done = run_birnn("predict", EXAMPLES / "number.jpg", "--several", "--json", cwd=tmp_path)
    assert (done.json["label"], done.json["status"]) == ("2017", "ok"), done.err


def run_example(name: str, *arguments: object, cwd: Path) -> list[str]:
    """The lines that an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        cwd=cwd,
        env=child_environment(cwd),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_library_example_trains_scores_and_reads(tmp_path: Path) -> None:
    lines = run_example("library.py", EXAMPLES / "digits" / "1-mnist.png", cwd=tmp_path)
    assert any("of 1000 drawn test digits right" in line for line in lines)
    assert lines[-1].startswith("1-mnist.png ")


def test_the_benchmark_measures_every_recipe_and_its_parts_make_up_the_whole(tmp_path: Path) -> None:
    lines = run_example("benchmark.py", 1, 0.1, cwd=tmp_path)[1:]
    assert [line.split(":")[0] for line in lines[::2]] == list(RECIPES)
    assert "on torch's own threads" in lines[0] and "shared by threads as the training is" in lines[0]
    for line in lines[1::2]:
        shares = [float(part.split()[-1].removesuffix("%")) for part in line.split(",")]
        assert min(shares) >= 0 and sum(shares) == pytest.approx(100, abs=0.5)


def test_the_readouts_example_scores_each_of_them_and_goes_on_where_it_was(
    small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(small_data)
    figure = tmp_path / "figure.png"
    lines = run_example("readouts.py", 1, 300, 20, figure, cwd=tmp_path)
    assert "accuracy on 150 test images of mnist, seeds 0 to 0:" in lines
    assert [line.split()[:2] for line in lines[-3:]] == [[name, "mean"] for name in get_args(Readout)]
    for file in (tmp_path / "runs" / "readouts").glob("*/scores-20.json"):
        scores = json.loads(file.read_text())
        assert len(scores["first_rows"]) == len(scores["last_rows"]) == 28
        assert scores["first_rows"][27] == scores["last_rows"][0]  # all rows, both times
        file.write_text(json.dumps({**scores, "accuracy": 0.125}))
    content = figure.read_bytes()
    assert content.startswith(b"\x89PNG")
    again = run_example("readouts.py", 1, 300, 20, figure, cwd=tmp_path)
    assert all("mean 12.50%" in line for line in again[-3:])  # as found before
    assert figure.read_bytes() == content


def test_the_gradient_example_shows_it_vanish_sooner_without_a_forget_bias_and_explode(
    small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(small_data)
    lines = run_example("vanishing_gradient.py", 300, tmp_path / "figure.png", cwd=tmp_path)
    sizes = {}
    for line in lines[-5:]:
        name, *values = re.split(r"[:\s]+row \d+: ", line.strip())
        sizes[name] = list(map(float, values))
    first, last = ({name: values[end] / values[-1] for name, values in sizes.items()} for end in (0, -1))
    assert set(last.values()) == {1.0}
    vanishing, kept = first["forget bias 0, untrained"], first["forget bias 1, untrained"]
    assert vanishing < kept / 100 < 0.001
    assert first["forget bias 1, untrained, recurrent weights × 6"] > 10
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_shipped_model_answers_as_its_run_did_with_better_calibrated_probabilities(
    small_data: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(small_data)
    (line,) = run_example("ship.py", trained, tmp_path / "shipped.safetensors", cwd=tmp_path)
    run, shipped = birnn.load(trained), birnn.load(tmp_path / "shipped.safetensors")
    before, after = (
        model.evaluate("mnist", samples=None, split="validation", data_dir=small_data)
        for model in (run, shipped)
    )
    assert after.accuracy == pytest.approx(before.accuracy, abs=2e-3)  # half precision
    assert after.loss < before.loss
    kept = shipped.metadata.validation
    assert kept is not None and kept["loss"] == pytest.approx(after.loss, rel=1e-2)
    assert re.search(r"temperature (0\.[5-9]|1\.[0-5])", line)
