"""The examples do what they say, with the model that ships."""

import subprocess
import sys
from pathlib import Path

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


def test_the_library_example_trains_scores_and_reads(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "library.py", EXAMPLES / "digits" / "1-mnist.png"],
        cwd=tmp_path,
        env=child_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "of 1000 drawn test digits right" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1-mnist.png ")
