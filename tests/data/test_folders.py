"""Folders of labelled images: splits, the reader, and damaged files."""

from pathlib import Path

import pytest
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.errors import DataError


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
        open_data_set(str(folder), tmp_path)


def test_bad_images_in_a_folder_are_named(folder: Path, tmp_path: Path) -> None:
    for content, message in ((b"no picture", "no picture"), (b"", "empty")):
        (folder / "a" / "bad.png").write_bytes(content)
        with pytest.raises(DataError, match=message) as error:
            for split in ("train", "validation", "test"):
                open_data_set(str(folder), tmp_path).load(split)  # type: ignore[arg-type]
        assert "bad.png" in str(error.value)
