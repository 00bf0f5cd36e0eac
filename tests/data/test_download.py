"""Downloads: complete or not at all, and given up when nothing arrives."""

import sys
import threading
from pathlib import Path

import pytest
import torchvision

from birnn_cli.data import download
from birnn_cli.data.datasets import open_data_set
from birnn_cli.errors import DataUnavailableError
from tests.conftest import write_mnist


def test_a_download_is_reported_and_only_its_data_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(root: Path, download: bool) -> None:
        from torchvision.datasets import utils

        with utils.tqdm(total=100, unit="B") as bar:
            bar.update(60)
        write_mnist(Path(root))
        (Path(root) / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"packed")
        print("torchvision talks")  # noqa: T201

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    reported: list[tuple[int, int | None]] = []
    data = open_data_set("mnist", tmp_path, progress=lambda done, total: reported.append((done, total)))
    assert len(data.load("test")[0]) == 150
    assert reported[-1] == (60, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 4


def test_a_download_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(root: Path, download: bool) -> None:
        (Path(root) / "MNIST" / "raw").mkdir(parents=True)
        raise RuntimeError("Error downloading\nTried it, got:\nHTTP Error 503: Service Unavailable")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    with pytest.raises(DataUnavailableError, match=r"cannot be downloaded \(HTTP Error 503") as error:
        open_data_set("mnist", tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_download_without_an_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    released = threading.Event()
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda root, download: released.wait(30))
    monkeypatch.setattr(download, "SECONDS_WITHOUT_ANSWER", 0.3)
    with pytest.raises(DataUnavailableError, match="no answer"):
        open_data_set("mnist", tmp_path)
    released.set()


def test_an_exception_without_a_message_is_named_by_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(root: Path, download: bool) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    with pytest.raises(DataUnavailableError, match=r"\(ConnectionResetError\).*looked for train-images"):
        open_data_set("mnist", tmp_path)


@pytest.mark.parametrize(
    ("slow_import", "message"),
    [("time.sleep(0.8)", r"\(from the fake\)"), ("raise RuntimeError('no nms')", r"imported: no nms\)")],
)
def test_importing_torchvision_is_no_waiting_and_its_failure_is_one_line(
    slow_import: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    package = tmp_path / "fake" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"import time\n{slow_import}\n")
    (package / "datasets").mkdir()
    (package / "datasets" / "__init__.py").write_text(
        "def MNIST(root, download):\n    raise OSError('from the fake')\n"
    )
    (package / "datasets" / "utils.py").write_text("tqdm = None\n")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path / "fake")
    monkeypatch.setattr(download, "SECONDS_WITHOUT_ANSWER", 0.3)
    with pytest.raises(DataUnavailableError, match=message):
        open_data_set("mnist", tmp_path / "data")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    assert capfd.readouterr().err == ""


def test_an_existing_file_is_never_replaced_by_a_download(tmp_path: Path) -> None:
    for folder, text in (("new", "new"), ("old", "old")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").write_text(text)
    (tmp_path / "new" / "other").write_text("new")
    download._move_into_place(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "both").read_text() == "old"
    assert (tmp_path / "old" / "other").read_text() == "new"
