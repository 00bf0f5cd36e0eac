"""The cores that a process may use: of files as Linux has them, whatever machine the tests run on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from birnn_cli.cores import READING_THREADS, limit_reading_threads, usable_cores


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


V1 = "12:pids:/a\n4:cpu,cpuacct:/docker/1f\n0::/"
QUOTAS: list[tuple[dict[str, str], float]] = [
    ({}, 64),
    ({"proc/self/cgroup": "0::/"}, 64),
    ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, 64),
    ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 2),
    ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "20000 100000"}, 1),
    ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "what is this"}, 64),
    # A group's limit holds for those within it.
    (
        {
            "proc/self/cgroup": "0::/user/job",
            "sys/fs/cgroup/user/job/cpu.max": "max 100000",
            "sys/fs/cgroup/user/cpu.max": "400000 100000",
        },
        4,
    ),
    # In a container the path is often the one outside, and its group is mounted as the root.
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        3,
    ),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
        3,
    ),
]


@pytest.mark.parametrize(("files", "cores"), QUOTAS)
def test_the_quota_of_every_control_group_around_the_process_counts(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    write(tmp_path, files)
    assert usable_cores(tmp_path) == cores


def test_the_affinity_counts_where_the_quota_is_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "800000 100000"})
    assert usable_cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("set_by_user", "threads", "expected"),
    [
        ({}, None, dict.fromkeys(READING_THREADS, "1")),
        ({"OPENBLAS_NUM_THREADS": "4"}, None, {"OPENBLAS_NUM_THREADS": "4"}),
        ({"OMP_NUM_THREADS": "3"}, None, {"OMP_NUM_THREADS": "3"}),
        ({"OMP_NUM_THREADS": "3"}, 2, dict.fromkeys(READING_THREADS, "2")),
    ],
)
def test_reading_takes_one_thread_unless_the_user_says_otherwise(
    set_by_user: dict[str, str],
    threads: int | None,
    expected: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", dict(set_by_user))
    limit_reading_threads(threads)
    assert dict(os.environ) == expected


def test_opencv_computes_on_as_many_threads_as_reading_has() -> None:
    program = (
        "from birnn_cli.cores import limit_reading_threads\nlimit_reading_threads({})\n"
        "import cv2\nassert cv2.getNumThreads() == {}, cv2.getNumThreads()"
    )
    for number in (1, 2):
        subprocess.run([sys.executable, "-c", program.format(number, number)], check=True)
