"""LeCun's IDX files, in which MNIST and its relatives are published: read, and checked as they are."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import DataError


def read_idx(file: Path, dtype: np.dtype, dimensions: int) -> NDArray:  # type: ignore[type-arg]
    """An array of LeCun's IDX format: magic number, sizes, and values, all big-endian.

    Source: "FILE FORMATS FOR THE MNIST DATABASE" on LeCun's MNIST page.
    """
    magic = {np.dtype(np.uint8): 0x0800, np.dtype(">i4"): 0x0C00}[dtype] + dimensions
    start = 4 * (1 + dimensions)
    try:
        content = np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) < start:
        raise damaged(file, f"{len(content)} bytes", f"a header of {start}")
    found, *shape = content[:start].view(">u4").tolist()
    if found != magic:
        raise damaged(file, f"the magic number 0x{found:08x}", f"0x{magic:08x}")
    expected = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) != expected:
        raise damaged(file, f"{len(content):,} bytes", f"{expected:,} for sizes {shape}")
    return content[start:].view(dtype).reshape(shape)


def damaged(file: Path, found: str, expected: str) -> DataError:
    """The error of a file that is not as its format or its data set says."""
    return DataError(
        f"{file} is damaged: found {found}, expected {expected}; put the published file in its "
        f"place, or move {file.parent} away and birnn downloads the whole set"
    )
