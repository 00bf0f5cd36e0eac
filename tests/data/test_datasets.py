"""Data sets: each one's own layout and oddities, splits, damage, folders of images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

from birnn_cli.data import download, published, strokes
from birnn_cli.data.datasets import open_data_set, open_or_fall_back
from birnn_cli.errors import DataError, DataUnavailableError
from tests.conftest import idx, write_idx, write_mnist

TRAIN, TEST = 5020, 30


def random_images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def write_plain(
    folder: Path, classes: int, name: str = "{}", first: int = 0, test: str = "t10k"
) -> None:
    """A set in the layout of MNIST, Fashion-MNIST, KMNIST and EMNIST."""
    for split, count in (("train", TRAIN), (test, TEST)):
        labels = (np.arange(count) % classes + first).astype(np.uint8)
        write_idx(folder / f"{name.format(split)}-images-idx3-ubyte", random_images(count))
        write_idx(folder / f"{name.format(split)}-labels-idx1-ubyte", labels)


def write_qmnist(folder: Path) -> None:
    """QMNIST: labels are eight 32-bit numbers an image, the class first."""
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = np.random.default_rng(1).integers(0, 4000, (count, 8)).astype(np.int32)
        labels[:, 0] = np.arange(count) % 10
        write_idx(folder / f"qmnist-{split}-images-idx3-ubyte", random_images(count))
        write_idx(folder / f"qmnist-{split}-labels-idx2-int", labels)


SETS: dict[str, tuple[Callable[[Path], None], Callable[[Path, bool], Any]]] = {
    "mnist": (
        lambda root: write_plain(root / "MNIST" / "raw", 10),
        lambda root, train: torchvision.datasets.MNIST(root, train=train),
    ),
    "fashion-mnist": (
        lambda root: write_plain(root / "FashionMNIST" / "raw", 10),
        lambda root, train: torchvision.datasets.FashionMNIST(root, train=train),
    ),
    "kmnist": (
        lambda root: write_plain(root / "KMNIST" / "raw", 10),
        lambda root, train: torchvision.datasets.KMNIST(root, train=train),
    ),
    "qmnist": (
        lambda root: write_qmnist(root / "QMNIST" / "raw"),
        lambda root, train: torchvision.datasets.QMNIST(root, train=train),
    ),
    "emnist-digits": (
        lambda root: write_plain(root / "EMNIST" / "raw", 10, "emnist-digits-{}", test="test"),
        lambda root, train: torchvision.datasets.EMNIST(root, "digits", train=train),
    ),
    "emnist-letters": (
        lambda root: write_plain(root / "EMNIST" / "raw", 26, "emnist-letters-{}", first=1, test="test"),
        lambda root, train: torchvision.datasets.EMNIST(root, "letters", train=train),
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_as_torchvision_reads_it(name: str, tmp_path: Path) -> None:
    write, open_in_torchvision = SETS[name]
    write(tmp_path)
    data = open_data_set(name, tmp_path)
    for split, train, wanted in (
        ("validation", True, slice(0, 5000)),
        ("train", True, slice(5000, None)),
        ("test", False, slice(None)),
    ):
        theirs = open_in_torchvision(tmp_path, train)
        images, labels = data.load(split)  # type: ignore[arg-type]
        pixels = theirs.data.numpy()
        if name.startswith("emnist"):
            pixels = pixels.transpose(0, 2, 1)  # stored transposed: upright again
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, pixels[wanted])
        truth = theirs.targets.numpy()
        truth = truth[:, 0] if name == "qmnist" else truth
        expected = [theirs.classes[label] for label in truth[wanted]]
        assert [data.classes[label] for label in labels] == [text.split(" - ")[0] for text in expected]
        assert data.size(split) == len(images)  # type: ignore[arg-type]


def test_letters_are_named_a_to_z_and_clothes_are_read_plainly(tmp_path: Path) -> None:
    for name in ("emnist-letters", "fashion-mnist"):
        SETS[name][0](tmp_path)
    letters = open_data_set("emnist-letters", tmp_path)
    assert (letters.classes[0], letters.classes[25], len(letters.classes)) == ("a", "z", 26)
    assert letters.load("test")[1].min() == 0
    assert letters.reader == "digit"
    assert open_data_set("fashion-mnist", tmp_path).reader == "plain"


def test_the_first_images_are_the_sets_own_first(tmp_path: Path) -> None:
    SETS["mnist"][0](tmp_path)
    data = open_data_set("mnist", tmp_path)
    np.testing.assert_array_equal(data.load("test", 7)[0], data.load("test")[0][:7])
    with pytest.raises(DataError, match=r"test split of mnist holds 30 images"):
        data.load("test", 31)


GOOD = idx(random_images(TRAIN))
DAMAGES = {
    "empty": ("images-idx3", b"", "0 bytes"),
    "truncated": ("images-idx3", GOOD[:-100], "bytes"),
    "too long": ("images-idx3", GOOD + b"x", "bytes"),
    "still compressed": ("images-idx3", b"\x1f\x8b\x08\x08" + GOOD, "magic number 0x1f8b0808"),
    "labels in place of images": ("images-idx3", idx(np.zeros(TRAIN, np.uint8)), "magic number"),
    "other dimensions": ("images-idx3", idx(np.zeros((TRAIN, 14, 56), np.uint8)), "14 by 56"),
    "hostile sizes": ("images-idx3", GOOD[:4] + b"\xff" * 12 + GOOD[16:], "for sizes"),
    "too few labels": ("labels-idx1", idx(np.zeros(50, np.uint8)), "50 labels"),
    "a label out of range": ("labels-idx1", idx(np.full(TRAIN, 10, np.uint8)), "a label 10"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_kept_and_never_a_reason_to_fall_back(
    damage: str, tmp_path: Path
) -> None:
    part, content, message = DAMAGES[damage]
    SETS["mnist"][0](tmp_path)
    file = tmp_path / "MNIST" / "raw" / f"train-{part}-ubyte"
    file.write_bytes(content)
    for name in ("mnist", "auto"):
        with pytest.raises(DataError, match=message) as error:
            open_or_fall_back(name, tmp_path, None, None, pytest.fail).load("train")
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)
    assert file.read_bytes() == content


def test_a_set_with_a_missing_file_is_an_error_not_a_download(tmp_path: Path) -> None:
    SETS["mnist"][0](tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing") as error:
        open_or_fall_back("auto", tmp_path, None, None, pytest.fail)
    assert not isinstance(error.value, DataUnavailableError)


def test_a_set_too_small_to_hold_anything_out_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, train=5000)
    with pytest.raises(DataError, match="5,000"):
        open_data_set("mnist", tmp_path).load("train")


def test_auto_is_mnist_where_it_is_on_disk(small_data: Path) -> None:
    assert open_or_fall_back("auto", small_data, None, None, pytest.fail).name == "mnist"


def test_auto_falls_back_on_strokes_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    heard: list[str] = []
    data = open_or_fall_back("auto", tmp_path / "none", None, None, heard.append)
    assert data.name == "strokes"
    assert len(heard) == 1
    assert "refused" in heard[0]
    assert not list((tmp_path / "none").iterdir())


def test_a_download_is_checked_moved_in_whole_and_reported(
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
    heard: list[tuple[int, int | None]] = []
    data = open_data_set("mnist", tmp_path, report=lambda done, total: heard.append((done, total)))
    assert len(data.load("test")[0]) == 150
    assert heard[-1] == (60, 100)
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
    import threading

    released = threading.Event()
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda root, download: released.wait(30))
    monkeypatch.setattr(download, "SECONDS_WITHOUT_ANSWER", 0.3)
    with pytest.raises(DataUnavailableError, match="no answer"):
        open_data_set("mnist", tmp_path)
    released.set()


def test_a_file_that_is_there_is_never_replaced_by_a_download(tmp_path: Path) -> None:
    for folder, text in (("new", "new"), ("old", "old")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").write_text(text)
    (tmp_path / "new" / "other").write_text("new")
    download._move_into_place(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "both").read_text() == "old"
    assert (tmp_path / "old" / "other").read_text() == "new"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of strokes with a subfolder a class."""
    images, labels = strokes.sample("folder", 200)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = tmp_path / "own" / "abcdefghij"[label] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return tmp_path / "own"


def test_a_folder_is_split_by_a_hash_that_no_other_file_moves(folder: Path, tmp_path: Path) -> None:
    data = open_data_set(str(folder), tmp_path)
    assert data.name == str(folder)
    assert data.classes == tuple("abcdefghij")
    sizes = {split: data.size(split) for split in ("train", "validation", "test")}  # type: ignore[arg-type]
    assert sum(sizes.values()) == 200
    assert 8 <= sizes["test"] <= 36
    assert 8 <= sizes["validation"] <= 36
    held_out = {image.tobytes() for image in data.load("test")[0]}
    for file in list(folder.rglob("*.png"))[::2]:
        file.unlink()
    kept = {image.tobytes() for image in open_data_set(str(folder), tmp_path).load("test")[0]}
    assert kept
    assert kept <= held_out


def test_a_folders_images_pass_through_the_reader(folder: Path, tmp_path: Path) -> None:
    big = Image.open(next((folder / "c").glob("*.png"))).resize((200, 200))
    Image.eval(big, lambda level: 255 - level).save(folder / "c" / "0.png")
    for reader, mean in (("digit", 20), ("plain", 40)):
        images, labels = open_data_set(str(folder), tmp_path, reader).load("train")  # type: ignore[arg-type]
        assert images.shape[1:] == (28, 28)
        assert len(images) == len(labels)
        assert images[:, 0].mean() < mean


def test_own_validation_and_test_folders_are_the_splits(folder: Path, tmp_path: Path) -> None:
    (folder / "test" / "b").mkdir(parents=True)
    Image.fromarray(strokes.sample("x", 1)[0][0]).save(folder / "test" / "b" / "1.png")
    data = open_data_set(str(folder), tmp_path)
    assert data.size("test") == 1
    assert data.load("test")[1].tolist() == [1]
    assert data.size("train") + data.size("validation") == 200
    (folder / "test" / "unknown").mkdir()
    with pytest.raises(DataError, match="unknown"):
        open_data_set(str(folder), tmp_path)


def test_bad_images_in_a_folder_are_named(folder: Path, tmp_path: Path) -> None:
    for content, message in ((b"no picture", "no picture"), (b"", "empty")):
        (folder / "a" / "bad.png").write_bytes(content)
        with pytest.raises(DataError, match=message) as error:
            for split in ("train", "validation", "test"):
                open_data_set(str(folder), tmp_path).load(split)  # type: ignore[arg-type]
        assert "bad.png" in str(error.value)


@pytest.mark.parametrize("name", ["nothing", "./here", "empty"])
def test_what_is_no_data_set_is_said_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected"):
        open_data_set(name, tmp_path)


def test_strokes_are_a_function_of_split_and_number_alone() -> None:
    images, labels = strokes.sample("train", 1200)
    again, same = strokes.sample("train", 1100)
    np.testing.assert_array_equal(images[:1100], again)
    np.testing.assert_array_equal(labels[:1100], same)
    assert not np.array_equal(strokes.sample("test", 100)[0], images[:100])
    assert {image.tobytes() for image in images[:1000]}.isdisjoint(
        image.tobytes() for image in images[1000:]
    )


def test_strokes_are_in_mnists_convention_and_of_all_digits() -> None:
    from birnn_cli.reader.normalise import is_normalised

    images, labels = strokes.sample("train", 1000)
    assert (images.shape, images.dtype) == ((1000, 28, 28), np.uint8)
    assert all(is_normalised(image) for image in images)
    assert np.bincount(labels, minlength=10).min() > 60


def test_strokes_have_their_sizes() -> None:
    data = open_data_set("strokes", Path())
    assert [data.size(split) for split in ("train", "validation", "test")] == [60_000, 5_000, 10_000]  # type: ignore[arg-type]
    with pytest.raises(DataError, match="10,000"):
        data.load("test", 10_001)


def test_real_mnist_has_its_splits(real_mnist: Path) -> None:
    data = open_data_set("mnist", real_mnist)
    assert [data.size(split) for split in ("train", "validation", "test")] == [55_000, 5_000, 10_000]  # type: ignore[arg-type]
    assert data.load("test", 10)[1].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.load("validation", 5)[1].tolist() == [5, 0, 4, 1, 9]
    assert published.NUM_VALIDATION == 5000
