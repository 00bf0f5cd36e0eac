"""Outputs: nothing of the user's is overwritten unasked, and what is read never."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from birnn_cli.errors import OutputExistsError, UsageError
from birnn_cli.files import check_output, write_atomically


def test_a_new_file_and_an_empty_folder_may_be_written(tmp_path: Path) -> None:
    check_output(tmp_path / "new.json", "--output", force=False)
    check_output(tmp_path / "new" / "folder", "--report", force=False, folder=True)
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty", "--report", force=False, folder=True)


def test_what_exists_is_refused_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text("mine")
    advice = "exists already: name another --output, or add --force to replace it"
    with pytest.raises(OutputExistsError, match=f"old.json {advice}"):
        check_output(file, "--output", force=False)
    check_output(file, "--output", force=True)
    with pytest.raises(OutputExistsError, match="holds files already: name another --report, or wait"):
        check_output(tmp_path, "--report", force=False, folder=True, advice="or wait")
    with pytest.raises(OutputExistsError, match=r"holds files already.*--force"):
        check_output(tmp_path, "--report", force=False, folder=True)
    check_output(tmp_path, "--report", force=True, folder=True)


@pytest.mark.parametrize("force", [False, True])
def test_a_file_where_a_folder_should_be_is_refused_forced_or_not(force: bool, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputExistsError, match="file is a file, expected a folder"):
        check_output(file, "--report", force=force, folder=True)
    with pytest.raises(OutputExistsError, match="is a folder, expected a file"):
        check_output(tmp_path, "--output", force=force)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_read_is_never_written_by_whatever_name(force: bool, tmp_path: Path) -> None:
    picture, link = tmp_path / "7.png", tmp_path / "link"
    picture.write_bytes(b"mine")
    link.symlink_to(picture)
    inputs = ["nowhere.png", "-", picture]
    for output in (picture, link, tmp_path / "." / "7.png"):
        with pytest.raises(UsageError, match="is what is to be read: name another --explain"):
            check_output(output, "--explain", force=force, inputs=inputs)
    with pytest.raises(UsageError, match="is what is to be read"):
        check_output(tmp_path, "--report", force=force, inputs=[tmp_path], folder=True)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_for_outputs_is_not_is_not_within_and_does_not_hold_what_is_read(
    force: bool, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "7.png").write_bytes(b"mine")
    (tmp_path / "link.png").symlink_to(tmp_path / "in" / "7.png")
    for inputs, folder in (
        (["in"], "in"),
        (["in"], "in/new"),
        (["in"], "."),
        (["in/7.png"], "in"),
        (["link.png"], "in"),
        (["link.png"], "."),
    ):
        with pytest.raises(UsageError, match="read: name another --save-input"):
            check_output(
                tmp_path / folder,
                "--save-input",
                force=force,
                inputs=[tmp_path / each for each in inputs],
                folder=True,
            )
    check_output(tmp_path / "out", "--save-input", force=force, inputs=[tmp_path / "in"], folder=True)


def test_the_longest_name_that_a_file_may_have_is_written(tmp_path: Path) -> None:
    for durable in (True, False):
        file = tmp_path / ("x" * 250 + ".json")
        write_atomically(file, b"whole", durable=durable)
        assert file.read_bytes() == b"whole" and len(list(tmp_path.iterdir())) == 1


def test_on_macos_the_disks_own_cache_is_written_out_where_the_file_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def control(descriptor: int, command: int) -> None:
        calls.append(command)
        if len(calls) > 1:
            raise OSError(45, "Operation not supported")

    monkeypatch.setitem(sys.modules, "fcntl", SimpleNamespace(fcntl=control, F_FULLFSYNC=51))
    monkeypatch.setattr("birnn_cli.files.sys.platform", "darwin")
    monkeypatch.setattr(os, "fsync", calls.append)
    write_atomically(tmp_path / "file", b"whole")
    assert calls[:2] == [51, 51] and len(calls) == 3  # the file, then its folder, by the second road
