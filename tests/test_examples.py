"""The examples do what they say, with the model that ships."""

import subprocess
import sys
from pathlib import Path

import pytest

from birnn_cli.recipes import RECIPES
from tests.conftest import child_environment, run_birnn

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_every_example_picture_is_read_as_the_digit_that_its_name_begins_with(tmp_path: Path) -> None:
    done = run_birnn("predict", EXAMPLES / "digits", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == 10
    for line in lines:
        name, _, answer = line.partition(": ")
        assert answer.startswith(Path(name).name[0] + " ("), line


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
    for line in lines[1::2]:
        shares = [float(part.split()[-1].removesuffix("%")) for part in line.split(",")]
        assert min(shares) >= 0 and sum(shares) == pytest.approx(100, abs=0.5)
