"""The page in a real browser: it reads as `birnn` does, and everybody can use it."""

import base64
import json
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.data.published import read_idx
from birnn_cli.export import page
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint
from tests.conftest import REAL_DATA_DIR, make_network, run_birnn
from tests.export.test_page import HOSTILE

# Strokes are points, x and y in fractions of the sheet's side.
Strokes = list[NDArray[np.float64]]

SEVEN = [np.array([(0.3, 0.32), (0.7, 0.3), (0.6, 0.45), (0.5, 0.62), (0.45, 0.82)])]
# What a browser's own bars leave of a phone's screen.
PHONE = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
LARGER_PHONE = {**PHONE, "width": 390, "height": 664}
LESS_MOTION = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One headless browser for all tests; skips, and says so, where there is none."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        programs = None, None
    if None in programs:
        pytest.skip("THE PAGE NOT TESTED: install selenium, chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()


class Page:
    """A page that is open in the browser."""

    def __init__(self, driver: Any, file: Path) -> None:
        self.driver = driver
        driver.get(file.as_uri())

    def find(self, name: str) -> Any:
        """The element of an id."""
        return self.driver.find_element("id", name)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, test: Callable[[], Any]) -> Any:
        """The first true value that a test returns within 10 seconds."""
        end = time.monotonic() + 10
        while not (found := test()):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        return found

    @property
    def answer(self) -> str:
        return str(self.find("answer").text)

    @property
    def step(self) -> str:
        return str(self.find("step-text").text)

    @property
    def said(self) -> str:
        """The text that a screen reader announces."""
        return str(self.find("status").get_property("textContent"))

    @property
    def pixels(self) -> Any:
        """What the network reads: (28, 28), 0 to 255."""
        return np.array(self.run("return birnn.pixels()")).reshape(28, 28)

    @property
    def note(self) -> str:
        """The text below the answer."""
        return str(self.find("note").text)

    def draw(self, drawing: Strokes, pointer: str = "mouse") -> None:
        """Draw strokes with a real pointer: a mouse, a pen or touch."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        devices = [PointerInput(pointer, pointer)]
        canvas, actions = self.find("canvas"), ActionChains(self.driver, duration=0, devices=devices)
        side = canvas.size["width"]
        for stroke in drawing:
            for number, (x, y) in enumerate(((stroke - 0.5) * side).round().astype(int).tolist()):
                actions.move_to_element_with_offset(canvas, x, y)
                if number == 0:
                    actions.click_and_hold()
            actions.release()
        actions.perform()

    def draw_at_once(self, drawing: Strokes) -> str:
        """Clear the sheet and draw strokes, with events like those of a mouse: many times as fast.

        Returns:
            How many rows the page shows as read when the pen is lifted.
        """
        script = """document.getElementById("clear").click();
            const canvas = document.getElementById("canvas");
            const {left, top, width} = canvas.getBoundingClientRect();
            const send = (kind, [x, y]) => canvas.dispatchEvent(new PointerEvent(kind,
                {pointerId: 1, clientX: left + x * width, clientY: top + y * width}));
            for (const stroke of arguments[0]) {
                send("pointerdown", stroke[0]);
                for (const point of stroke.slice(1)) send("pointermove", point);
                send("pointerup", stroke.at(-1));
            }
            return document.getElementById("step-text").textContent"""
        return str(self.run(script, [stroke.tolist() for stroke in drawing]))

    def sheet(self) -> bytes:
        """The PNG of what is drawn."""
        return base64.b64decode(self.run("return birnn.sheet()").partition(",")[2])

    def keys(self, name: str, *keys: str, held: str = "") -> None:
        """Press keys on an element, with another held, after giving it the keyboard."""
        from selenium.webdriver.common.action_chains import ActionChains

        self.run("arguments[0].focus({focusVisible: true})", self.find(name))
        actions = ActionChains(self.driver, duration=0)
        if held:
            actions.key_down(held).send_keys(*keys).key_up(held).perform()
        else:
            actions.send_keys(*keys).perform()

    def probabilities(self, direction: str) -> list[str]:
        """The table's column of a direction."""
        script = "return [...document.querySelectorAll(`#classes .${arguments[0]} .value`)]"
        return list(self.run(f"{script}.map((value) => value.textContent)", direction))

    def emulate(self, command: str, values: dict[str, Any]) -> None:
        """Give the browser another screen, other preferences or a touch screen."""
        self.driver.execute_cdp_cmd(f"Emulation.{command}", values)


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[[Checkpoint], Page]]:
    """Opens pages, and checks afterwards that none requested anything else or logged an error."""
    chromium.get_log("performance"), chromium.get_log("browser")

    def opened(network: Checkpoint) -> Page:
        (tmp_path / "draw.html").write_bytes(page.to_html(network))
        return Page(chromium, tmp_path / "draw.html")

    yield opened
    complaints = [entry["message"] for entry in chromium.get_log("browser")]
    assert not complaints
    asked = [
        e["message"] for e in chromium.get_log("performance") if "requestWillBeSent" in e["message"]
    ]
    assert all("draw.html" in message or '"url":"data:' in message for message in asked), asked
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return checkpoint.load(folders.SHIPPED)


def assert_equals_numpy(open_one: Page, network: Checkpoint, pixels: np.ndarray) -> None:
    """The page's probabilities for images (n, 28, 28) are those of the NumPy engine."""
    script = """return arguments[0].map((levels) =>
        Array.from(birnn.probabilities(levels.map((level) => level / 255))))"""
    found = np.array(open_one.run(script, pixels.reshape(len(pixels), -1).tolist()))
    logits = numpy_engine.logits(network.config.architecture, network.weights, to_rows(pixels))
    expected = numpy_engine.probabilities(logits)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_the_shipped_network_gives_the_probabilities_of_numpy_for_100_digits(
    open_page: Any, shipped: Checkpoint
) -> None:
    real = Path(REAL_DATA_DIR or "nowhere") / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    if real.is_file():
        pixels = np.asarray(read_idx(real, np.dtype(np.uint8), 3)[:100])
    else:
        pixels = strokes.sample("test", 100)[0]
    assert_equals_numpy(open_page(shipped), shipped, pixels)


@pytest.mark.parametrize(
    ("readout", "columns", "layers"), list(product(["last", "states", "pool"], [False, True], [1, 2, 3]))
)
def test_every_kind_of_network_gives_the_probabilities_of_numpy(
    readout: str, columns: bool, layers: int, open_page: Any
) -> None:
    network = make_network(readout=readout, columns=columns, layers=layers, forget_bias=-0.7)
    assert_equals_numpy(open_page(network), network, strokes.sample("test", 40)[0])


def test_an_answer_of_the_shipped_network_takes_well_under_a_tenth_of_a_second(
    open_page: Any, shipped: Checkpoint
) -> None:
    script = """const rows = Array.from({length: 784}, (_, k) => (k % 7) / 7);
        return Array.from({length: 15}, () => {
            const started = performance.now();
            birnn.probabilities(rows);
            return performance.now() - started;
        })"""
    milliseconds = float(np.median(open_page(shipped).run(script)))
    assert milliseconds < 100


def handwriting(count: int) -> Iterator[Strokes]:
    """Digits 0 to 9 in turn, in each way of writing them, at random places and in random sizes."""
    random = np.random.default_rng(2)
    for number in range(count):
        templates = strokes.templates()[number % 10]
        template = templates[number // 10 % len(templates)]
        controls = template.control_points
        points = template.spline @ (controls + random.normal(0, 0.03, controls.shape))
        size = random.uniform(0.15, 0.9)
        points *= size / np.ptp(points, axis=0).max()
        low, high = points.min(axis=0), points.max(axis=0)
        points += random.uniform(0.04, 0.96 - (high - low)) - low
        yield np.split(points, template.curve_ends[:-1])


def predict_folder(folder: Path, checkpoint_file: Path | None = None) -> tuple[list[str], Any]:
    """What `birnn predict` reads in the pictures of a folder: n labels, and pixels (n, 28, 28)."""
    inputs = folder.with_name("inputs")
    options = () if checkpoint_file is None else ("--checkpoint", checkpoint_file)
    done = run_birnn(
        "predict", folder, "--json", "-q", "--save-input", inputs, *options, cwd=folder.parent
    )
    assert done.code == 0, done.err
    labels = [json.loads(line)["label"] for line in done.out.splitlines()]
    pixels = [np.asarray(Image.open(path), int) for path in sorted(inputs.rglob("*.png"))]
    return labels, np.stack(pixels)


def test_120_drawn_digits_are_read_as_predict_reads_their_pictures(
    open_page: Any, shipped: Checkpoint, tmp_path: Path
) -> None:
    opened = open_page(shipped)
    opened.emulate("setEmulatedMedia", LESS_MOTION)
    folder = tmp_path / "drawn"
    folder.mkdir()
    labels, pixels, notes = [], [], set()
    script = """return [...["answer", "note"].map((name) => document.getElementById(name).textContent),
        birnn.pixels(), birnn.sheet()]"""
    for number, drawing in enumerate(handwriting(120)):
        opened.draw_at_once(drawing)
        answer, note, levels, sheet = opened.run(script)
        labels.append(answer.partition(" (")[0].rstrip("?"))
        notes.add(note)
        pixels.append(np.reshape(levels, (28, 28)))
        (folder / f"{number:03}.png").write_bytes(base64.b64decode(sheet.partition(",")[2]))
    expected_labels, expected_pixels = predict_folder(folder)
    assert sum(map(str.__eq__, labels, expected_labels)) >= 118
    # A centre of mass halfway between two pixels is rounded either way.
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    differences = [
        np.abs(np.roll(np.stack(pixels), shift, (1, 2)) - expected_pixels).max(axis=(1, 2))
        for shift in shifts
    ]
    assert np.min(differences, axis=0).max() <= 2
    assert (differences[shifts.index((0, 0))] <= 2).sum() >= 118
    assert sum(map(str.__eq__, labels, "0123456789" * 12)) >= 115
    assert not any("several" in note for note in notes)


def test_a_drawing_has_the_answer_that_predict_gives_its_picture(
    open_page: Any, shipped: Checkpoint, tmp_path: Path
) -> None:
    opened = open_page(shipped)
    opened.draw(SEVEN)
    (tmp_path / "drawn.png").write_bytes(opened.sheet())
    done = run_birnn("predict", "drawn.png", "-q", cwd=tmp_path)
    assert done.out == f"drawn.png: {opened.answer}\n"
    assert opened.answer.startswith("7 (")
    assert opened.said == opened.answer


def test_a_plain_network_reads_the_sheet_as_it_is(open_page: Any, tmp_path: Path) -> None:
    network = make_network(("coat", "shoe"), "plain")
    opened = open_page(network)
    opened.draw(SEVEN)
    assert opened.answer.partition("?")[0].partition(" (")[0] in network.config.classes
    checkpoint.save(tmp_path / "own.safetensors", network)
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "1.png").write_bytes(opened.sheet())
    _, (expected,) = predict_folder(tmp_path / "drawn", tmp_path / "own.safetensors")
    assert np.abs(opened.pixels - expected).max() <= 1


@pytest.mark.parametrize("size", [0.0, 0.03, 0.1, 0.5, 0.99])
def test_a_drawing_of_any_size_fills_20_pixels_with_a_pen_of_2_and_a_dot_fills_them_all(
    size: float, open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw_at_once([np.array([(0.005, 0.005), (0.005, 0.005 + size)])])
    heights, widths = ((opened.pixels > 127).sum(axis=axis) for axis in (0, 1))
    assert heights.max() == 20
    assert widths.max() == (20 if size < 0.07 else 2)


@pytest.mark.parametrize(
    ("drawing", "is_several"),
    [
        ([[(0.2, 0.2), (0.2, 0.8)], [(0.6, 0.2), (0.6, 0.8)]], True),
        ([[(0.2, 0.2), (0.5, 0.2), (0.3, 0.8)], [(0.72, 0.1), (0.52, 0.9)]], True),  # slanted
        ([[(0.3, 0.2), (0.2, 0.5), (0.5, 0.5)], [(0.52, 0.2), (0.52, 0.8)]], False),  # a 4
        ([[(0.4, 0.2), (0.2, 0.5), (0.4, 0.8)], [(0.4, 0.2), (0.6, 0.5), (0.4, 0.8)]], False),  # a 0
        ([[(0.5, 0.2), (0.5, 0.8)], [(0.7, 0.8), (0.7, 0.81)]], False),  # a 1 and a point
    ],
)
def test_several_digits_side_by_side_get_a_hint(
    drawing: list[list[tuple[float, float]]], is_several: bool, open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw_at_once([np.array(stroke) for stroke in drawing])
    assert ("several digits" in opened.note) == ("several digits" in opened.said) == is_several


def test_the_page_of_a_network_for_digits_begins_by_reading_a_3_that_makes_way_for_a_drawing(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    assert opened.answer.startswith("3 (")
    assert opened.find("play").text == "Pause" or opened.step == "28 of 28"  # on a slow machine
    assert opened.find("example").is_displayed()
    assert not opened.said  # nobody has drawn anything
    opened.draw(SEVEN)
    assert opened.answer.startswith("7 (")
    assert not opened.find("example").is_displayed()


def test_the_page_of_other_classes_begins_empty(open_page: Any) -> None:
    opened = open_page(make_network(("coat", "shoe"), "plain"))
    assert opened.answer == "no ink"
    assert not opened.find("example").is_displayed()


def test_undo_takes_back_strokes_and_clear(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    example = opened.answer
    opened.draw(SEVEN)
    drawn = opened.answer
    opened.find("clear").click()
    assert (opened.answer, opened.said) == ("no ink", "no ink")
    opened.keys("clear", "z", held="\ue009")  # Ctrl+Z
    assert opened.answer == drawn
    opened.draw([np.array([(0.4, 0.55), (0.65, 0.55)])])
    for expected in (drawn, example, example):
        opened.find("undo").click()
        assert opened.answer == expected


def test_the_keyboard_draws(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    up, right, down, left = ("\ue013", "\ue014", "\ue015", "\ue012")
    opened.find("clear").click()
    opened.keys("canvas", *[left] * 4, *[up] * 6, " ", *[right] * 8)
    assert opened.find("pen").is_displayed()
    opened.wait(lambda: opened.answer != "no ink")  # live, before the pen is lifted
    opened.keys("canvas", *[down] * 12, " ")
    assert opened.answer.startswith("7")
    assert opened.said.startswith(opened.answer)
    opened.keys("canvas", *[down] * 3)  # the pen is up
    assert opened.said.startswith(opened.answer)


def test_each_step_shows_the_probabilities_of_the_first_and_of_the_last_rows(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw(SEVEN)
    pixels = opened.pixels.astype(np.uint8)
    opened.keys("step", "\ue010", *["\ue012"] * 11)  # to the end, then to the left
    assert opened.step == "17 of 28"
    # As in `--explain`, rows are counted from 0.
    assert opened.find("forward-rows").text.split() == ["Forward", "rows", "0–16"]
    assert opened.find("backward-rows").text.split() == ["Backward", "rows", "11–27"]
    assert opened.answer.startswith("7 (")  # that to the whole picture, as its label says
    first, last = pixels.copy(), pixels.copy()
    first[17:] = 0
    last[:11] = 0
    rows = to_rows(np.stack([first, last]))
    logits = numpy_engine.logits(shipped.config.architecture, shipped.weights, rows)
    probabilities = numpy_engine.probabilities(logits)
    for direction, expected in zip(("forward", "backward"), probabilities, strict=True):
        found = [float(text.split()[0]) for text in opened.probabilities(direction)]
        np.testing.assert_allclose(found, 100 * expected, atol=0.06)
    opened.keys("step", "\ue010")
    assert opened.probabilities("forward") == opened.probabilities("backward")


def test_a_finished_stroke_is_played_row_by_row_unless_less_motion_is_wanted(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    assert opened.draw_at_once(SEVEN) == "1 of 28"
    opened.wait(lambda: opened.step == "28 of 28")
    opened.run("for (const click of [1, 2]) document.getElementById('play').click()")  # Play, Pause
    time.sleep(0.2)
    assert opened.step == "1 of 28"
    opened.emulate("setEmulatedMedia", LESS_MOTION)
    opened.wait(lambda: not opened.find("play").is_displayed())
    assert opened.draw_at_once(SEVEN) == "28 of 28"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ink_and_paper_have_the_colours_of_the_theme(
    theme: str, open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    opened.draw_at_once(SEVEN)
    opened.emulate("setEmulatedMedia", scheme)
    script = """const canvas = document.getElementById("canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const ink = data.findIndex((value, k) => k % 4 === 3 && value === 255) - 3;
        return [data[ink], getComputedStyle(canvas).backgroundColor.match(/\\d+/g)[0]].map(Number)"""
    opened.wait(lambda: (opened.run(script)[0] < opened.run(script)[1]) == (theme == "light"))


@pytest.mark.parametrize("phone", [PHONE, LARGER_PHONE], ids=["360 wide", "390 wide"])
def test_a_phone_shows_the_answer_below_the_sheet_and_scrolls_down_only(
    phone: dict[str, Any], open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.emulate("setDeviceMetricsOverride", phone)
    opened.emulate("setTouchEmulationEnabled", {"enabled": True})
    opened.draw_at_once(SEVEN)
    assert opened.answer.startswith("7 (")
    assert opened.run("return document.documentElement.scrollWidth") == phone["width"]
    opened.run("scrollTo(0, 0)")
    bottom = "return document.getElementById('answer').getBoundingClientRect().bottom"
    assert opened.run(bottom) <= phone["height"]
    opened.emulate("setTouchEmulationEnabled", {"enabled": False})


def test_a_finger_on_the_sheet_draws_and_does_not_scroll(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    opened.emulate("setDeviceMetricsOverride", PHONE)
    opened.emulate("setTouchEmulationEnabled", {"enabled": True})
    opened.draw(SEVEN, "touch")
    opened.emulate("setTouchEmulationEnabled", {"enabled": False})
    assert opened.answer.startswith("7 (")
    assert opened.run("return scrollY") == 0


def test_any_names_of_any_number_of_classes_are_shown_as_text(open_page: Any) -> None:
    many = tuple(f"class {k} with a long name" for k in range(60))
    for classes in (HOSTILE, ("yes", "no"), many):
        opened = open_page(make_network(classes))
        opened.emulate("setDeviceMetricsOverride", PHONE)
        opened.draw_at_once(SEVEN)
        script = """return [...document.querySelectorAll("#classes th")].map(
            (cell) => cell.textContent.toWellFormed())"""
        shown = opened.run(script)
        assert len(shown) == min(12, len(classes))
        assert opened.run("return document.scripts.length") == 2
        assert opened.run("return document.documentElement.scrollWidth") == 360
        if classes is many:
            assert opened.answer.startswith(shown[0])  # the likeliest first
        else:
            assert shown == [name.replace("\udcff", "\ufffd") for name in classes]


def test_everything_that_takes_the_keyboard_has_a_name_and_a_visible_focus(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw_at_once(SEVEN)
    tree = opened.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    focusable = [
        node
        for node in tree
        if any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
        and node["role"]["value"] != "RootWebArea"
    ]
    names = {node["name"]["value"] for node in focusable}
    assert {"Drawing area", "Undo", "Clear", "Rows"} < names
    assert all(names), focusable
    for name in ("canvas", "undo", "clear", "play", "step"):
        opened.keys(name)
        assert opened.run("return getComputedStyle(document.activeElement).outlineWidth") == "3px", name


def test_the_page_cannot_connect_to_anything(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    script = """const done = arguments[0];
        fetch("http://127.0.0.1:9/").then(() => done("connected"), () => done("refused"))"""
    assert opened.driver.execute_async_script(script) == "refused"
    complaints = [entry["message"] for entry in opened.driver.get_log("browser")]
    assert complaints and all("Content Security Policy" in message for message in complaints)
