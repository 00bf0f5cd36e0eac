"""Turn a finished run into the model that ships: half precision, and nothing that only training needs.

python examples/ship.py runs/notebook-1 birnn_cli/runs/shipped.safetensors
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from birnn_cli.runs import checkpoint


def main(run: Path, target: Path) -> None:
    """Read a run's checkpoint and write its network alone."""
    finished = checkpoint.load(run / checkpoint.FILE_NAME)
    checkpoint.save(target, replace(finished, training={}), np.float16)
    print(f"{target}: {target.stat().st_size:,} bytes, validation {finished.metadata.validation}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
