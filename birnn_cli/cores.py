"""The CPU cores that this process may use, and the threads on which NumPy and OpenCV compute."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What NumPy's BLAS and OpenCV read when they are loaded.
READING_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
# With these a user says how many threads anything computes with.
SET_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def usable_cores(root: Path = Path("/")) -> int:
    """The cores that this process may use: by its affinity and, rounded up, its cgroups' CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *map(math.ceil, _quotas(root))])


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of the control groups that this process is in, and of those above them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            folders, files = [root / "sys/fs/cgroup"], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            folders = [root / "sys/fs/cgroup" / name for name in ("cpu", controllers)]
            files = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # In a container its own group may be mounted as the root, whatever its path outside is.
        within = Path(path.lstrip("/"))
        for group in (folder / each for folder in folders for each in (within, *within.parents)):
            # A group without a quota says `max` or -1; the root group has no such file.
            with suppress(OSError, ValueError):
                quota, period = " ".join((group / file).read_text() for file in files).split()
                if int(quota) > 0:
                    yield int(quota) / int(period)


def limit_reading_threads(threads: int | None = None) -> None:
    """Have NumPy and OpenCV, which are not loaded yet, compute on one thread, or on so many.

    Several threads read a picture no sooner, and beside other programs they wait for each other. Without
    a number, what the user has set in the environment stands.
    """
    if threads is not None or not any(name in os.environ for name in READING_THREADS):
        os.environ |= dict.fromkeys(READING_THREADS, str(threads or 1))
