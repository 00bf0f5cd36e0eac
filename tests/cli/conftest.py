"""What the tests of the commands share."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Done


@pytest.fixture
def here(tmp_path: Path, trained: Path) -> Path:
    """A folder with a finished run under runs/."""
    shutil.copytree(trained, tmp_path / "runs" / "notebook-1")
    return tmp_path


@pytest.fixture
def data(small_data: Path) -> dict[str, str]:
    """The environment that names the small MNIST."""
    return {"BIRNN_DATA_DIR": str(small_data)}


def assert_refused(done: Done, *words: str, code: int = 1) -> None:
    """One line on stderr that holds these words, nothing on stdout, this exit code."""
    assert done.code == code, done.err
    assert done.out == ""
    assert len(done.err.splitlines()) == 1, done.err
    for word in words:
        assert word in done.err
