"""Published data sets: the layout and oddities of each, their splits, and damaged files."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from birnn_cli.data import published
from birnn_cli.data.datasets import open_data_set, open_or_fall_back
from birnn_cli.data.published import PUBLISHED
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
    "packed and cut": ("images-idx3", b"\x1f\x8b\x08\x08" + GOOD, "packed data that cannot be unpacked"),
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


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("place", ["MNIST/raw", "."])
def test_mnist_fetched_by_hand_is_on_disk(place: str, dot: str, is_packed: bool, tmp_path: Path) -> None:
    write_mnist(tmp_path / "published")
    (tmp_path / "own" / place).mkdir(parents=True)
    for file in (tmp_path / "published").rglob("*ubyte"):
        name = file.name.replace("-idx", f"{dot}idx") + ".gz" * is_packed
        content = file.read_bytes()
        (tmp_path / "own" / place / name).write_bytes(gzip.compress(content) if is_packed else content)
    for split in ("train", "validation", "test"):
        images, labels = open_data_set("mnist", tmp_path / "own").load(split)  # type: ignore[arg-type]
        expected = open_data_set("mnist", tmp_path / "published").load(split)  # type: ignore[arg-type]
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_array_equal(labels, expected[1])


def test_mnist_in_a_flat_folder_is_not_taken_for_another_set_of_the_same_names(tmp_path: Path) -> None:
    write_plain(tmp_path, 10)
    assert not PUBLISHED["fashion-mnist"].files(tmp_path)[0].exists()
    assert PUBLISHED["mnist"].files(tmp_path)[0].exists()


def test_a_set_with_a_missing_file_is_an_error_not_a_download(tmp_path: Path) -> None:
    SETS["mnist"][0](tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing") as error:
        open_or_fall_back("auto", tmp_path, None, None, pytest.fail)
    assert not isinstance(error.value, DataUnavailableError)


def test_a_set_without_images_beyond_the_validation_split_is_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, train=5000)
    with pytest.raises(DataError, match="5,000"):
        open_data_set("mnist", tmp_path).load("train")


def test_real_mnist_has_its_splits(real_mnist: Path) -> None:
    data = open_data_set("mnist", real_mnist)
    assert [data.size(split) for split in ("train", "validation", "test")] == [55_000, 5_000, 10_000]  # type: ignore[arg-type]
    assert data.load("test", 10)[1].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.load("validation", 5)[1].tolist() == [5, 0, 4, 1, 9]
    assert published.NUM_VALIDATION == 5000


def test_a_published_set_has_its_name_in_prose_and_a_folder_its_name_without_its_path() -> None:
    for name, expected in (
        ("mnist", "MNIST"),
        ("fashion-mnist", "Fashion-MNIST"),
        ("strokes", "strokes"),
    ):
        assert published.title(name) == expected
    assert published.title("/home/somebody/mnist") == "mnist"
