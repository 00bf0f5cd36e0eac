"""What is around the pixels: damaged EXIF, further pages, HEIC by an extra, libtiff's words."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.errors import ImageError
from birnn_cli.reader import decode

PIXELS = np.arange(1200, dtype=np.uint16).reshape(30, 40).clip(0, 255).astype(np.uint8)
TIFF_HEADER = b"MM\0*\0\0\0\x08"
DAMAGED = {
    "short": b"MM",
    "header": TIFF_HEADER,
    "cut entry": TIFF_HEADER + b"\0\x01\x01\x12\0\x03",
    "far": b"MM\0*\x7f\0\0\0",
    "text": b"hello",
    "orientation text": TIFF_HEADER + b"\0\x01\x01\x12\0\x02\0\0\0\x04abc\0\0\0\0\0",
    "orientations": TIFF_HEADER + b"\0\x01\x01\x12\0\x03\0\0\0\x02\0\x06\0\x06\0\0\0\0",
    "orientation 99": TIFF_HEADER + b"\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",
}


def encode(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def png_with_exif(exif: bytes) -> bytes:
    content = encode("PNG")
    end = content.index(b"IDAT") - 4
    chunk = b"eXIf" + exif
    checked = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:end] + checked + content[end:]


@pytest.mark.parametrize("name", DAMAGED)
def test_exif_that_cannot_be_parsed_is_passed_over(name: str) -> None:
    np.testing.assert_array_equal(decode.decode(png_with_exif(DAMAGED[name])), PIXELS)
    webp = encode("WEBP", lossless=True, exif=b"Exif\0\0" + DAMAGED[name])
    np.testing.assert_array_equal(decode.decode(webp), PIXELS)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG"])
def test_pages_and_frames_are_counted(kind: str) -> None:
    more = [Image.fromarray(PIXELS[::-1]), Image.fromarray(PIXELS // 2)]
    assert decode.count_pages(encode(kind, save_all=True, append_images=more)) == 3
    assert decode.count_pages(encode(kind)) == 1


def test_heic_is_read_by_an_extra_and_says_so_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(PIXELS).resize((64, 64)).convert("RGB")).save(file)
    assert decode.decode(file.getvalue()).shape == (64, 64)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"HEIC .*pip install pillow-heif"):
        decode.decode(file.getvalue())


def test_heic_in_a_folder_is_counted_as_left_out_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.HEIC").write_bytes(b"")
    for installed, found in ((True, 1), (False, 0)):
        left_out: list[str] = []
        monkeypatch.setattr(decode, "is_heic_installed", lambda installed=installed: installed)
        assert len(list(decode.find_images(str(tmp_path), left_out.append))) == found
        assert left_out == ([] if installed else [str(tmp_path / "a.HEIC")])


def test_a_linked_folder_is_left_out_and_a_linked_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "a.png")
    left_out: list[str] = []
    assert list(decode.find_images(str(tmp_path / "in"), left_out.append)) == [
        str(tmp_path / "in" / "b.png")
    ]
    assert left_out == [str(tmp_path / "in" / "round")]


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw"])
def test_what_libtiff_says_is_the_pictures_error_and_not_on_stderr(
    compression: str, tmp_path: Path
) -> None:
    file = tmp_path / "damaged.tif"
    picture = Image.fromarray(PIXELS).resize((400, 400))
    (picture.convert("1") if compression == "group4" else picture).save(file, compression=compression)
    content = bytearray(file.read_bytes())
    content[40:140] = bytes(k * 37 % 256 for k in range(100))
    file.write_bytes(content)
    program = (
        "import sys; from birnn_cli.reader.decode import decode\n"
        "try:\n    decode(open(sys.argv[1], 'rb').read())\nexcept Exception as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, check=True)
    assert done.stdout.startswith(b"the picture is damaged (") and done.stderr == b""
