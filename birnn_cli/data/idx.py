"""Read and check IDX files, the format in which MNIST and its relatives are published."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import DataError


def read_idx(file: Path, dtype: np.dtype, dimensions: int) -> NDArray:  # type: ignore[type-arg]
    """Map the array in an IDX file into memory: a magic number, sizes, then values, all big-endian.

    Source: "FILE FORMATS FOR THE MNIST DATABASE" on LeCun's MNIST page.

    Args:
        file: The file.
        dtype: Of the values: uint8, or big-endian int32 (`>i4`).
        dimensions: How many the array must have.

    Raises:
        DataError: The file cannot be read, or is not such an array.
    """
    magic = {np.dtype(np.uint8): 0x0800, np.dtype(">i4"): 0x0C00}[dtype] + dimensions
    header_size = 4 * (1 + dimensions)  # the magic number and a size for each dimension, in bytes
    try:
        content = np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) < header_size:
        raise damaged(file, f"{len(content)} bytes", f"a header of {header_size}")
    found_magic, *shape = content[:header_size].view(">u4").tolist()
    if found_magic != magic:
        raise damaged(file, f"the magic number 0x{found_magic:08x}", f"0x{magic:08x}")
    # Python's integers cannot overflow, whatever sizes a damaged header claims.
    expected = header_size + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) != expected:
        raise damaged(file, f"{len(content):,} bytes", f"{expected:,} for sizes {shape}")
    return content[header_size:].view(dtype).reshape(shape)


def damaged(file: Path, found: str, expected: str) -> DataError:
    """The error for a file that does not follow its format, or does not fit its data set."""
    return DataError(
        f"{file} is damaged: found {found}, expected {expected}; put the published file in its "
        f"place, or move {file.parent} away and birnn downloads the whole set"
    )
