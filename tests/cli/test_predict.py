"""`birnn predict`: every picture read, in its place, in words and as JSON, nothing overwritten."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.runs import checkpoint, folders
from tests.conftest import child_environment, make_network, run_birnn


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def digits() -> dict[str, bytes]:
    """For each digit a drawing, as PNG, that the shipped model is surest of."""
    images, labels = strokes.sample("validation", 300)
    shipped = checkpoint.load(folders.SHIPPED)
    logits = numpy_engine.logits(shipped.config.architecture, shipped.weights, to_rows(images))
    likely = numpy_engine.probabilities(logits)
    return {
        str(label): png(images[max(np.flatnonzero(labels == label), key=lambda k: likely[k, label])])
        for label in range(10)
    }


@pytest.fixture
def here(tmp_path: Path, digits: dict[str, bytes]) -> Path:
    """A folder with a 7, a 3, an empty page and a file that is no picture."""
    (tmp_path / "7.png").write_bytes(digits["7"])
    (tmp_path / "3.png").write_bytes(digits["3"])
    (tmp_path / "blank.png").write_bytes(png(np.full((90, 60), 255, np.uint8)))
    (tmp_path / "text.png").write_bytes(b"hello")
    return tmp_path


def test_each_picture_is_a_line_in_the_order_given_and_a_bad_one_does_not_stop_the_others(
    here: Path,
) -> None:
    done = run_birnn("predict", "7.png", "text.png", "nowhere.png", "blank.png", "3.png", cwd=here)
    lines = done.out.splitlines()
    assert [line.partition(" (")[0] for line in (lines[0], lines[4])] == ["7.png: 7", "3.png: 3"]
    assert lines[1].startswith("text.png: error: this is no picture, expected PNG, JPEG")
    assert lines[2] == "nowhere.png: error: no such file"
    assert lines[3] == "blank.png: no ink"
    assert len(lines) == 5
    assert done.code == 1
    assert "Traceback" not in done.err


def test_the_answers_are_stdout_and_the_model_that_is_used_is_named_on_stderr(here: Path) -> None:
    done = run_birnn("predict", "7.png", cwd=here)
    assert done.code == 0
    assert done.out.startswith("7.png: 7 (") and done.out.endswith(" %)\n")
    assert "the model that ships" in done.err and "% on the validation images of mnist" in done.err
    quiet = run_birnn("predict", "7.png", "--quiet", cwd=here)
    assert (quiet.out, quiet.err) == (done.out, "")


def test_json_is_an_object_a_picture_with_the_agreed_keys(here: Path) -> None:
    done = run_birnn("predict", "7.png", "blank.png", "text.png", "--json", "--top-k", 3, cwd=here)
    seven, blank, text = (json.loads(line) for line in done.out.splitlines())
    for values in (seven, blank, text):
        assert list(values) == ["path", "status", "label", "probability", "top", "error", "checkpoint"]
    assert (seven["path"], seven["status"], seven["label"], seven["error"]) == ("7.png", "ok", "7", None)
    assert [set(choice) for choice in seven["top"]] == [{"label", "probability"}] * 3
    probabilities = [choice["probability"] for choice in seven["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] == seven["probability"] <= 1
    assert blank == {
        **dict.fromkeys(blank),
        "checkpoint": "shipped",
        "path": "blank.png",
        "status": "no-ink",
        "top": [],
    }
    assert (text["status"], text["label"], text["error"]["code"]) == ("error", None, "image")


def test_all_classes_sum_to_one_and_no_more_are_named(here: Path) -> None:
    done = run_birnn("predict", "7.png", "--json", "--top-k", 99, cwd=here)
    top = done.json["top"]
    assert sorted(choice["label"] for choice in top) == list("0123456789")
    assert sum(choice["probability"] for choice in top) == pytest.approx(1, abs=1e-6)


def test_a_doubtful_answer_is_marked_and_still_given(here: Path, trained: Path) -> None:
    """Twenty steps make a network that is hardly sure of anything."""
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(here / "stroke.png")
    arguments = ("predict", "stroke.png", "--checkpoint", trained, "-q")
    assert "? (" in run_birnn(*arguments, cwd=here).out
    values = run_birnn(*arguments, "--json", cwd=here).json
    assert values["status"] == "unsure" and values["label"] is not None


def test_a_folder_gives_its_pictures_sorted_with_those_below_and_no_others(here: Path) -> None:
    (here / "more" / ".hidden").mkdir(parents=True)
    for name in ("more/1.PNG", ".secret.png", "more/.hidden/x.png", "notes.txt"):
        (here / name).write_bytes((here / "7.png").read_bytes())
    done = run_birnn("predict", here, "--json", cwd=here)
    found = [Path(json.loads(line)["path"]).relative_to(here) for line in done.out.splitlines()]
    assert list(map(str, found)) == ["3.png", "7.png", "blank.png", "more/1.PNG", "text.png"]


def test_an_empty_folder_is_an_error_in_its_place(here: Path) -> None:
    (here / "empty").mkdir()
    done = run_birnn("predict", "empty", "7.png", cwd=here)
    assert done.code == 1
    assert done.out.splitlines()[0].startswith("empty: error: no pictures in this folder")
    assert done.out.splitlines()[1].startswith("7.png: 7")


def test_many_files_are_answered_in_order(here: Path) -> None:
    names = ["7.png", "3.png", "blank.png"] * 50
    done = run_birnn("predict", *names, "--json", "--jobs", 3, cwd=here)
    assert [json.loads(line)["path"] for line in done.out.splitlines()] == names


def test_a_picture_on_stdin(here: Path) -> None:
    done = run_birnn("predict", "-", cwd=here, stdin=(here / "3.png").read_bytes())
    assert done.out.startswith("-: 3 (")
    nothing = run_birnn("predict", "-", cwd=here, stdin=b"")
    assert (nothing.code, nothing.out) == (1, "-: error: the file is empty, expected a picture\n")


@pytest.mark.parametrize("name", ["[red]7.png", "two\nlines.png", "a\x1b[31mb.png", "sieben ⑦.png"])
def test_a_name_cannot_steer_the_terminal_or_break_its_line(here: Path, name: str) -> None:
    (here / name).write_bytes((here / "7.png").read_bytes())
    done = run_birnn("predict", name, cwd=here)
    assert done.code == 0
    assert len(done.out.splitlines()) == 1 and "\x1b" not in done.out
    assert done.out.startswith(name.replace("\n", "\\n").replace("\x1b", "\\x1b") + ": 7 (")
    assert run_birnn("predict", name, "--json", cwd=here).json["path"] == name


def test_a_name_that_is_no_text_is_read_all_the_same(here: Path) -> None:
    raw = os.fsencode(here) + b"/\xff.png"
    Path(os.fsdecode(raw)).write_bytes((here / "7.png").read_bytes())
    for options in ([], ["--json"]):
        done = run_birnn("predict", os.fsdecode(raw), *options, cwd=here)
        assert done.code == 0, done.err


def test_invert_overrules_what_the_reader_finds(here: Path) -> None:
    """A light 7 on black is read as dark ink on it: not the same answer."""
    Image.fromarray(pixels_of(here / "7.png").repeat(7, 0).repeat(7, 1)).save(here / "large.png")
    kept, inverted = (
        run_birnn("predict", "large.png", "--json", "--invert", invert, cwd=here).json
        for invert in ("no", "yes")
    )
    assert (kept["status"], kept["label"]) == ("ok", "7")
    assert inverted["top"] != kept["top"]


@pytest.fixture(scope="module")
def three(digits: dict[str, bytes]) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """A page with 3, 7 and 0 side by side, dark on light, and where each is."""
    page, boxes = np.full((300, 700), 245, np.uint8), []
    for left, name in ((30, "3"), (260, "7"), (470, "0")):
        picture = Image.open(io.BytesIO(digits[name])).resize((196, 196), Image.Resampling.BICUBIC)
        levels = np.asarray(picture)
        page[50:246, left : left + 196] = 245 - (levels * 0.9).astype(np.uint8)
        rows, columns = np.flatnonzero((levels > 128).any(1)), np.flatnonzero((levels > 128).any(0))
        boxes.append((left + columns[0], 50 + rows[0], left + columns[-1] + 1, 50 + rows[-1] + 1))
    return page, boxes


def test_several_digits_are_unsure_as_one_and_read_as_a_number(
    here: Path, three: tuple[np.ndarray, list[tuple[int, int, int, int]]]
) -> None:
    page, boxes = three
    (here / "page.png").write_bytes(png(page))
    done = run_birnn("predict", "page.png", "--json", cwd=here)
    assert done.json["status"] == "unsure" and done.json["label"] is not None
    assert "1 picture seems to hold several digits; try --several" in done.err
    assert "digits" not in done.json
    done = run_birnn("predict", "page.png", "--json", "--several", "--top-k", 3, cwd=here)
    assert "--several" not in done.err
    digits = done.json["digits"]
    assert [list(each) for each in digits] == [["label", "probability", "status", "box"]] * 3
    assert [(each["label"], each["status"]) for each in digits] == [
        ("3", "ok"),
        ("7", "ok"),
        ("0", "ok"),
    ]
    for each, box in zip(digits, boxes, strict=True):
        assert np.abs(np.array(each["box"]) - box).max() <= 6
    assert (done.json["label"], done.json["status"]) == ("370", "ok")
    product = np.prod([each["probability"] for each in digits])
    assert done.json["probability"] == pytest.approx(product)
    top = done.json["top"]
    assert [top[0][name] for name in ("label", "probability")] == ["370", done.json["probability"]]
    assert len({each["label"] for each in top}) == 3 and all(len(each["label"]) == 3 for each in top)
    assert top == sorted(top, key=lambda each: -each["probability"])
    text = run_birnn("predict", "page.png", "--several", "-q", cwd=here).out
    assert text.startswith("page.png: 370 (") and text.count("\n") == 1


def test_a_number_is_unsure_when_one_of_its_digits_is(here: Path, trained: Path) -> None:
    page = np.zeros((120, 300), np.uint8)
    page[20:100, 20:100] = np.eye(80, dtype=np.uint8) * 255
    page[20:100, 200:210] = 255
    page[20:100, 200:280][np.eye(80, dtype=bool)] = 255
    (here / "page.png").write_bytes(png(page))
    arguments = ("predict", "page.png", "--several", "--checkpoint", trained, "-q")
    values = run_birnn(*arguments, "--json", cwd=here).json
    assert "unsure" in [each["status"] for each in values["digits"]]
    assert values["status"] == "unsure" and len(values["label"]) == len(values["digits"])
    assert f"page.png: {values['label']}? (" in run_birnn(*arguments, cwd=here).out


def test_a_number_needs_classes_of_one_character(here: Path) -> None:
    checkpoint.save(here / "words.safetensors", make_network(classes=("one", "two")))
    done = run_birnn("predict", "7.png", "--several", "--checkpoint", "words.safetensors", cwd=here)
    assert done.code == 2 and "--several" in done.err and "'one'" in done.err


def test_of_several_digits_the_pixels_are_side_by_side_in_one_picture(
    here: Path, three: tuple[np.ndarray, list[tuple[int, int, int, int]]]
) -> None:
    (here / "page.png").write_bytes(png(three[0]))
    folders = ("--save-input", "kept", "--save-stages", "how")
    done = run_birnn("predict", "page.png", "--several", "--preview", *folders, "-q", cwd=here)
    assert done.code == 0 and len(done.out.splitlines()) == 1 + 28 and done.err == ""
    assert [path.name for path in (here / "kept").iterdir()] == ["page.png"]
    assert [path.name for path in (here / "how").iterdir()] == ["page.png"]
    assert pixels_of(here / "kept" / "page.png").shape == (28, 3 * 28)
    # Below the strip of stages is the whole picture, as wide, with a box around each digit.
    drawn = pixels_of(here / "how" / "page.png")
    assert drawn.shape[0] == pytest.approx(220 + drawn.shape[1] * 300 / 700, abs=12)


@pytest.mark.parametrize("scale", [0.4, 6])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_boxes_are_in_the_pictures_own_pixels(
    here: Path, three: tuple[np.ndarray, list[tuple[int, int, int, int]]], scale: float, kind: str
) -> None:
    page, boxes = three
    large = Image.fromarray(page)
    large = large.resize((round(700 * scale), round(300 * scale)))
    large.save(here / "page", kind)
    done = run_birnn("predict", "page", "--json", "--several", cwd=here)
    found = [each["box"] for each in done.json["digits"]]
    assert len(found) == 3
    assert np.abs(np.array(found) - scale * np.array(boxes)).max() <= 8 * max(1, scale)


def test_one_digit_is_the_same_with_and_without_several(here: Path) -> None:
    alone, among = (
        run_birnn("predict", "7.png", "blank.png", "text.png", "--json", *option, cwd=here)
        for option in ([], ["--several"])
    )
    for one, other in zip(alone.out.splitlines(), among.out.splitlines(), strict=True):
        own = json.loads(other)
        digits, marks = own.pop("digits"), own.pop("marks")
        assert json.loads(one) == own and marks == []
        assert [each["label"] for each in digits] == [own["label"]] * (own["status"] == "ok")


def test_the_stages_of_every_picture_that_could_be_read_are_saved(here: Path) -> None:
    Image.fromarray(255 - pixels_of(here / "7.png").repeat(9, 0).repeat(9, 1)).save(here / "large.png")
    names = ("7.png", "large.png", "blank.png", "text.png")
    done = run_birnn("predict", *names, "--save-stages", "how", cwd=here)
    assert done.code == 1
    assert sorted(path.name for path in (here / "how").iterdir()) == ["7.png", "blank.png", "large.png"]
    sizes = {pixels_of(path).shape for path in (here / "how").iterdir()}
    assert len(sizes) == 1 and sizes.pop()[1] > 4 * 28
    again = run_birnn("predict", "7.png", "--save-stages", "how", cwd=here)
    assert (again.code, again.out) == (1, "")
    assert "--save-stages" in again.err and "--force" in again.err


def test_what_the_network_read_is_saved_under_the_pictures_names(here: Path) -> None:
    (here / "in" / "deep").mkdir(parents=True)
    seven, three = ((here / name).read_bytes() for name in ("7.png", "3.png"))
    for name, content in {"in/a.png": seven, "in/a.tif.png": three, "in/deep/b.png": three}.items():
        (here / name).write_bytes(content)
    done = run_birnn("predict", "in", "7.png", "in/a.png", "--save-input", "kept", cwd=here)
    assert done.code == 0, done.err
    saved = {str(path.relative_to(here / "kept")) for path in (here / "kept").rglob("*.png")}
    assert saved == {"a.png", "a.tif.png", "deep/b.png", "7.png", "a-2.png"}
    for name, own in {"7.png": "7.png", "a-2.png": "7.png", "deep/b.png": "3.png"}.items():
        assert np.array_equal(pixels_of(here / "kept" / name), pixels_of(here / own))


def test_outputs_that_exist_are_refused_unless_forced(here: Path) -> None:
    (here / "out.jsonl").write_text("mine\n")
    (here / "kept").mkdir()
    (here / "kept" / "7.png").write_text("mine")
    for option, name in (("--output", "out.jsonl"), ("--save-input", "kept")):
        done = run_birnn("predict", "7.png", option, name, cwd=here)
        assert (done.code, done.out) == (1, "")
        assert name in done.err and "--force" in done.err and len(done.err.splitlines()) == 2
        assert run_birnn("predict", "7.png", option, name, "--force", cwd=here).code == 0
    assert json.loads((here / "out.jsonl").read_text())["label"] == "7"
    assert pixels_of(here / "kept" / "7.png").shape == (28, 28)


def test_an_output_file_holds_the_same_json_lines(here: Path) -> None:
    done = run_birnn("predict", "7.png", "text.png", "--output", "out.jsonl", "--json", cwd=here)
    assert (here / "out.jsonl").read_text() == done.out


def test_when_it_cannot_begin_there_is_one_line_and_one_object(here: Path) -> None:
    (here / "junk.safetensors").write_bytes(bytes(64))
    for name in ("junk.safetensors", "nowhere", "7.png"):
        done = run_birnn("predict", "7.png", "--checkpoint", name, "--json", cwd=here)
        assert done.code == 1 and len(done.err.splitlines()) == 1 and name in done.err
        assert (done.json["command"], done.json["status"]) == ("predict", "error")
        assert done.json["error"]["code"] == "checkpoint"


def test_a_reader_that_closes_the_pipe_ends_it_quietly(here: Path) -> None:
    """As `birnn predict … | head -1` does."""
    command = [sys.executable, "-m", "birnn_cli", "predict", *["7.png"] * 2000]
    with subprocess.Popen(
        command,
        cwd=here,
        env=child_environment(here),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read().decode().splitlines()[1:] == []
        process.wait(60)


def test_a_network_of_another_data_set_reads_as_its_checkpoint_says(here: Path, trained: Path) -> None:
    """A `plain` checkpoint gets the picture as it is: white paper is no empty picture to it."""
    from dataclasses import replace

    saved = checkpoint.load(trained / checkpoint.FILE_NAME)
    plain = replace(saved.metadata, config=replace(saved.config, reader="plain"))
    checkpoint.save(here / "plain.safetensors", replace(saved, metadata=plain))
    done = run_birnn("predict", "blank.png", "--json", "--checkpoint", "plain.safetensors", cwd=here)
    assert done.json["label"] is not None


def test_what_is_read_and_how_it_was_read_do_not_take_each_others_names(here: Path) -> None:
    folders = ("--save-input", "both", "--save-stages", "both")
    done = run_birnn("predict", "7.png", *folders, cwd=here)
    assert done.code == 2 and "a folder each" in done.err
    assert not (here / "both").exists()


def test_a_caller_that_closed_stdout_or_stderr_gets_the_exit_code(here: Path) -> None:
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        for name, code in (("7.png", 0), ("nothing.png", 1)):
            command = f'"{sys.executable}" -m birnn_cli predict {name} {closed}'
            done = subprocess.run(
                command, shell=True, cwd=here, env=child_environment(here), check=False
            )
            assert done.returncode == code, command


def test_as_many_processes_read_as_cores_may_be_used() -> None:
    program = (
        "import os; from birnn_cli.cores import usable_cores\n"
        "assert usable_cores() == len(os.sched_getaffinity(0))\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); assert usable_cores() == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("shown", [["--preview"], ["--explain", "-"]])
def test_what_is_for_people_is_refused_beside_json(here: Path, shown: list[str]) -> None:
    done = run_birnn("predict", "7.png", "--json", *shown, cwd=here)
    assert (done.code, done.out) == (2, "") and "--json" in done.err


def test_the_shipped_model_is_named_by_a_word_and_each_object_names_what_answered(
    here: Path, trained: Path
) -> None:
    own = run_birnn("predict", "7.png", "--json", "--checkpoint", trained, cwd=here)
    assert own.json["checkpoint"] == str(trained / checkpoint.FILE_NAME)
    (here / "runs").symlink_to(trained.parent)
    assert run_birnn("predict", "7.png", "--json", cwd=here).json["checkpoint"].startswith("runs")
    done = run_birnn("predict", "7.png", "--json", "--checkpoint", "shipped", cwd=here)
    assert done.json["checkpoint"] == "shipped"


def test_what_is_left_out_is_said_once_at_the_end_whatever_is_silenced(here: Path) -> None:
    scans = here / "scans"
    (scans / "more").mkdir(parents=True)
    seven = Image.fromarray(255 - pixels_of(here / "7.png").repeat(9, 0).repeat(9, 1))
    for name in ("a.tif", "b.gif", "c.webp", "d.png"):
        seven.save(scans / name, save_all=True, append_images=[seven.rotate(9), seven.rotate(5)])
    (scans / "one.jfif").write_bytes((here / "7.png").read_bytes())
    for name in ("x.pdf", "more/y.PDF", "README", ".hidden"):
        (scans / name).write_bytes(b"")
    (scans / "linked").symlink_to(here)
    done = run_birnn("predict", "scans", "-q", cwd=here)
    assert done.code == 0 and len(done.out.splitlines()) == 5
    assert done.err == (
        "warning: left out: 3 files of other kinds (no ending 1, .pdf 2); 1 linked folder: name what is "
        "to be read; 8 further pages or frames of scans/a.tif, scans/b.gif, scans/c.webp, …\n"
    )
