"""What the tests share: tiny data sets in torchvision's layout, real MNIST where it is, the command."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from birnn_cli.data import strokes
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.recipes import RECIPES

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
REAL_DATA_DIR = os.environ.get("BIRNN_DATA_DIR")


@dataclass(frozen=True)
class Done:
    """A process that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)


def run_birnn(*arguments: object, cwd: Path, stdin: bytes | None = None, **environment: str) -> Done:
    """Run `birnn` in a process of its own, with no network and no data but what the test made."""
    done = subprocess.run(
        [sys.executable, "-m", "birnn_cli", *map(str, arguments)],
        cwd=cwd,
        env=child_environment(cwd, **environment),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=300,
        check=False,
    )
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    return Done(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


def child_environment(cwd: Path, **more: str) -> dict[str, str]:
    """The environment for `birnn` in a test."""
    offline = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    # One thread: on a busy machine, several that wait for each other take many times as long.
    own = {"BIRNN_DATA_DIR": str(cwd / "data"), "NO_COLOR": "1", "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **offline, **own, **more}


def idx(array: np.ndarray) -> bytes:
    """An array as a file of LeCun's IDX format."""
    kind = {np.dtype(np.uint8): 0x08, np.dtype(np.int32): 0x0C}[array.dtype]
    header = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(file: Path, array: np.ndarray) -> None:
    """Write an IDX file where torchvision looks for it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(idx(array))


def write_mnist(data_dir: Path, train: int = 5300, test: int = 150) -> None:
    """A small MNIST of strokes, in torchvision's layout."""
    for name, split, count in (("train", "train", train), ("t10k", "test", test)):
        images, labels = strokes.sample(split, count)
        raw = data_dir / "MNIST" / "raw"
        write_idx(raw / f"{name}-images-idx3-ubyte", images)
        write_idx(raw / f"{name}-labels-idx1-ubyte", labels.astype(np.uint8))


def make_network(
    classes: tuple[str, ...] = tuple("0123456789"), reader: str = "digit", **recipe: Any
) -> Checkpoint:
    """An untrained network, small unless said otherwise, whose answers differ by the picture."""
    config = RunConfig(
        recipe_name="notebook",
        recipe=replace(RECIPES["notebook"], **{"hidden_size": 12, **recipe}),
        dataset="/home/somebody/letters",
        classes=classes,
        reader=reader,  # type: ignore[arg-type]
        seed=0,
        device="cpu",
    )
    random = np.random.default_rng(1)
    weights = {
        name: random.normal(0, 0.4, shape).astype(np.float32)
        for name, shape in config.architecture.parameter_shapes().items()
    }
    return Checkpoint(
        metadata=CheckpointMetadata(
            config=config, step=1, samples=config.recipe.batch_size, complete=True
        ),
        weights=weights,
        training={},
    )


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a small MNIST of strokes."""
    folder = tmp_path_factory.mktemp("small")
    write_mnist(folder)
    return folder


@pytest.fixture(scope="session")
def trained(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder: 20 steps of the notebook's recipe on the small MNIST."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = ("--dataset", "mnist", "--samples", 2700, "--output", folder, "--device", "cpu", "-q")
    done = run_birnn("train", *options, cwd=folder.parent, BIRNN_DATA_DIR=str(small_data))
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder with the real MNIST; skips, and says so, where there is none."""
    if REAL_DATA_DIR and (Path(REAL_DATA_DIR) / "MNIST" / "raw").is_dir():
        return Path(REAL_DATA_DIR)
    pytest.skip("REAL MNIST NOT TESTED: set BIRNN_DATA_DIR to a folder with MNIST/raw")
