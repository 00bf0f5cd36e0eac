"""Folders of labelled images: splits, the reader, and damaged files."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.data.datasets import DataSet, open_data_set, open_or_fall_back
from birnn_cli.data.folders import Split
from birnn_cli.errors import DataError
from birnn_cli.reader.decode import encode_png


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
    before = {image.tobytes() for image in data.load("test")[0]}
    for file in list(folder.rglob("*.png"))[::2]:
        file.unlink()
    kept = {image.tobytes() for image in open_data_set(str(folder), tmp_path).load("test")[0]}
    assert kept
    assert kept <= before


def test_a_folders_images_pass_through_the_reader(folder: Path, tmp_path: Path) -> None:
    big = Image.open(next((folder / "c").glob("*.png"))).resize((200, 200))
    Image.eval(big, lambda level: 255 - level).save(folder / "c" / "0.png")
    for reader, mean in (("digit", 20), ("plain", 40)):
        images, labels = open_data_set(str(folder), tmp_path, reader).load("train")  # type: ignore[arg-type]
        assert images.shape[1:] == (28, 28)
        assert len(images) == len(labels)
        assert images[:, 0].mean() < mean


def test_folders_named_validation_and_test_are_those_splits(folder: Path, tmp_path: Path) -> None:
    (folder / "test" / "b").mkdir(parents=True)
    Image.fromarray(strokes.sample("x", 1)[0][0]).save(folder / "test" / "b" / "1.png")
    data = open_data_set(str(folder), tmp_path)
    assert data.size("test") == 1
    assert data.load("test")[1].tolist() == [1]
    assert data.size("train") + data.size("validation") == 200
    (folder / "test" / "unknown").mkdir()
    with pytest.raises(DataError, match="unknown"):
        open_for_training(folder)


def open_for_training(folder: Path) -> DataSet:
    return open_or_fall_back(str(folder), folder, None, None, lambda message: None)


def add_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode_png(strokes.sample("x", 1)[0][0]))


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("train", "val", "validation"),
        ("train", "valid", "validation"),
        ("TRAIN", "Dev", "validation"),
        ("training", "testing", "test"),
        ("Train", "Test", "test"),
    ],
)
def test_splits_go_by_the_names_that_people_use_in_any_case(
    train: str, other: str, split: Split, tmp_path: Path
) -> None:
    for number in range(40):
        add_image(tmp_path / train / "ab"[number % 2] / f"{number}.png")
    add_image(tmp_path / other / "b" / "1.png")
    data = open_for_training(tmp_path)
    assert data.classes == ("a", "b")
    assert data.load(split)[1].tolist() == [1]


@pytest.mark.parametrize(("name", "split"), [("test", "test"), ("valid", "validation")])
def test_a_split_alone_can_be_scored_and_cannot_be_learned(
    name: str, split: Split, tmp_path: Path
) -> None:
    add_image(tmp_path / name / "a" / "1.png")
    data = open_data_set(str(tmp_path), tmp_path)
    assert (data.classes, data.size(split), data.size("train")) == (("a",), 1, 0)
    add_image(tmp_path / name / "b" / "1.png")
    with pytest.raises(DataError, match=r"no training images of 2 classes \(a, b\)"):
        open_for_training(tmp_path)


def test_a_folder_with_a_splits_name_that_holds_images_is_a_class(tmp_path: Path) -> None:
    for name in ("dev", "ops"):
        add_image(tmp_path / name / "1.png")
    assert open_data_set(str(tmp_path), tmp_path).classes == ("dev", "ops")


@pytest.mark.parametrize("beside", ["val/a/1.png", "a/1.png"])
def test_folders_whose_part_is_unclear_are_named(beside: str, tmp_path: Path) -> None:
    for file in ("train/a/1.png", "validation/a/1.png", beside):
        add_image(tmp_path / file)
    with pytest.raises(DataError, match=f"{beside.split('/')[0]} .*: put|\\({beside[0]}\\) .*: put"):
        open_data_set(str(tmp_path), tmp_path)


def test_folders_that_systems_make_are_no_classes_and_hold_no_images(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("__MACOSX/a", "__pycache__", "@eaDir/a", ".ipynb_checkpoints", "a/@eaDir"):
        add_image(folder / name / "1.png")
    data = open_data_set(str(folder), tmp_path)
    assert data.classes == tuple("abcdefghij")
    assert data.size("all") == 200


def test_a_class_without_images_is_named_before_a_training(folder: Path) -> None:
    (folder / "k").mkdir()
    (folder / "k" / "1.psd").write_bytes(b"")
    reported: list[str] = []
    with pytest.raises(DataError, match=r"1 class \(k\)"):
        open_or_fall_back(str(folder), folder, None, None, reported.append)
    assert len(reported) == 1
    assert "1 of .psd" in reported[0]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_linked_folders_are_not_followed_and_that_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "z").symlink_to(folder / "a")
    (folder / "a" / "loop").symlink_to(folder)
    data = open_data_set(str(folder), tmp_path)
    assert data.size("all") == 200
    assert data.folder is not None
    (line,) = data.folder.left_out
    assert "2 linked folders" in line
    assert str(folder / "z") in line


def test_the_mixed_order_has_all_classes_early_and_is_the_same_wherever_the_folder_lies(
    folder: Path, tmp_path: Path
) -> None:
    data = open_data_set(str(folder), tmp_path)
    images, labels = data.load("all", 60, mixed=True)
    assert len(set(labels.tolist())) == 10
    shutil.copytree(folder, tmp_path / "copy")
    again, _ = open_data_set(str(tmp_path / "copy"), tmp_path).load("all", 60, mixed=True)
    np.testing.assert_array_equal(images, again)
    in_order = data.load("train")[1]
    assert in_order.tolist() == sorted(in_order)


def test_all_bad_images_are_named_at_once_also_those_of_the_validation_split(
    folder: Path, tmp_path: Path
) -> None:
    files = sorted(folder.rglob("*.png"))
    for file in files[:30]:
        file.write_bytes(b"no picture")
    Image.new("L", (28, 28), 0).save(files[40])
    data = open_data_set(str(folder), tmp_path)
    bad = sum(
        each.path in files[:30] for split in ("train", "validation") for each in data.folder.split(split)
    )  # type: ignore[union-attr,arg-type]
    with pytest.raises(DataError) as error:
        data.load("train")
    message = str(error.value)
    assert f"{bad} images" in message
    assert message.count(".png") - message.count(str(files[40])) == 10
    assert f"and {bad - 10} more" in message
    assert "\n" not in message


def test_bad_images_in_a_folder_are_named(folder: Path, tmp_path: Path) -> None:
    for content, message in ((b"no picture", "no picture"), (b"", "empty")):
        (folder / "a" / "bad.png").write_bytes(content)
        with pytest.raises(DataError, match=message) as error:
            for split in ("train", "validation", "test"):
                open_data_set(str(folder), tmp_path).load(split)  # type: ignore[arg-type]
        assert "bad.png" in str(error.value)
