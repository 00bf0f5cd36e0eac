"""Data sets are found by name; `auto` is MNIST, or strokes where MNIST is unavailable."""

import tempfile
from pathlib import Path

import pytest

from birnn_cli.data import datasets
from birnn_cli.data.datasets import open_data_set, open_or_fall_back
from birnn_cli.errors import DataError


def test_auto_is_mnist_where_it_is_on_disk(small_data: Path) -> None:
    assert open_or_fall_back("auto", small_data, None, None, pytest.fail).name == "mnist"


def test_auto_is_strokes_where_mnist_is_unavailable_and_the_reason_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    reported: list[str] = []
    data = open_or_fall_back("auto", tmp_path / "none", None, None, reported.append)
    assert data.name == "strokes"
    assert len(reported) == 1
    assert "refused" in reported[0]
    assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize("name", ["nothing", "./here", "empty"])
def test_an_unknown_data_set_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected"):
        open_data_set(name, tmp_path)


def test_strokes_have_their_sizes() -> None:
    data = open_data_set("strokes", Path())
    assert [data.size(split) for split in ("train", "validation", "test")] == [60_000, 5_000, 10_000]  # type: ignore[arg-type]
    with pytest.raises(DataError, match="10,000"):
        data.load("test", 10_001)


def test_a_table_is_refused_with_how_to_go_on(tmp_path: Path) -> None:
    for name in ("train.csv", "mnist.npz"):
        (tmp_path / name).write_text("label")
        with pytest.raises(DataError, match=r"is a table.*reshape\(28, 28\)"):
            open_data_set(str(tmp_path / name), tmp_path)


def test_a_split_of_all_images_is_for_folders() -> None:
    with pytest.raises(DataError, match="for folders"):
        open_data_set("strokes", Path()).load("all")


def test_a_user_without_a_home_folder_gets_a_temporary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(name: str) -> str:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BIRNN_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets.platformdirs, "user_cache_dir", no_home)
    said: list[str] = []
    folder = datasets.default_data_dir(said.append)
    assert folder.parent == Path(tempfile.gettempdir())
    assert len(said) == 1 and str(folder) in said[0]
    monkeypatch.setattr(datasets.platformdirs, "user_cache_dir", "~/{}".format)  # HOME is not known
    assert datasets.default_data_dir() == folder
