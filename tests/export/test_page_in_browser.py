"""The page of a network in a real browser: it reads as `birnn` does, and can be used by all."""

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from birnn_cli import prediction
from birnn_cli.data import strokes
from birnn_cli.data.idx import read_idx
from birnn_cli.export import page
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import decode, read
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent
from tests.conftest import EXAMPLES, REAL_DATA_DIR, make_network
from tests.export.test_page import HOSTILE

DIGITS_FOLDER = EXAMPLES / "digits"
# A TIFF is nothing that browsers show.
PICTURES = sorted(path for path in DIGITS_FOLDER.iterdir() if path.suffix != ".tif")
# A 7, as shares of the sheet's side.
SEVEN = ((0.3, 0.32), (0.7, 0.3), (0.6, 0.45), (0.5, 0.62), (0.45, 0.82))
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


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
        """What a test gives as soon as it is true."""
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
        """What the live region says."""
        return str(self.find("status").get_property("textContent"))

    def load(self, path: Path) -> str:
        """Choose a file; what the page says then."""
        self.run("document.getElementById('status').textContent = ''")
        self.find("file").send_keys(str(path))
        return str(self.wait(lambda: self.said or self.find("problem").text))

    def draw(self, points: tuple[tuple[float, float], ...]) -> None:
        """Draw a stroke with the pointer."""
        from selenium.webdriver.common.action_chains import ActionChains

        canvas, actions = self.find("canvas"), ActionChains(self.driver, duration=20)
        self.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
        for number, (x, y) in enumerate(points):
            size = canvas.size
            offset = round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])
            actions.move_to_element_with_offset(canvas, *offset)
            if number == 0:
                actions.click_and_hold()
        actions.release().perform()

    def keys(self, name: str, *keys: str, held: str = "") -> None:
        """Press keys on an element, with another held, after giving it the keyboard."""
        from selenium.webdriver.common.action_chains import ActionChains

        self.run("arguments[0].focus({focusVisible: true})", self.find(name))
        actions = ActionChains(self.driver, duration=0)
        if held:
            actions.key_down(held).send_keys(*keys).key_up(held).perform()
        else:
            actions.send_keys(*keys).perform()

    def shares(self, direction: str) -> list[str]:
        """The table's column of a direction."""
        script = "return [...document.querySelectorAll(`#classes .${arguments[0]} .value`)]"
        return list(self.run(f"{script}.map((value) => value.textContent)", direction))

    def emulate(self, command: str, values: dict[str, Any]) -> None:
        """Have the browser pretend something."""
        self.driver.execute_cdp_cmd(f"Emulation.{command}", values)


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[[Checkpoint], Page]]:
    """Opens pages; none may have asked for anything but itself, nor complained."""
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


def assert_alike(open_one: Page, network: Checkpoint, pixels: np.ndarray) -> None:
    """The page's probabilities for images (n, 28, 28) are those of `birnn`."""
    script = """return arguments[0].map((levels) =>
        Array.from(birnn.probabilities(levels.map((level) => level / 255))))"""
    found = np.array(open_one.run(script, pixels.reshape(len(pixels), -1).tolist()))
    logits = numpy_engine.logits(network.config.architecture, network.weights, to_rows(pixels))
    expected = numpy_engine.probabilities(logits)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_the_shipped_network_answers_to_200_digits_as_in_python(
    open_page: Any, shipped: Checkpoint
) -> None:
    real = Path(REAL_DATA_DIR or "nowhere") / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    if real.is_file():
        pixels = np.asarray(read_idx(real, np.dtype(np.uint8), 3)[:200])
    else:
        pixels = strokes.draw("test", 200)[0]
    assert_alike(open_page(shipped), shipped, pixels)


@pytest.mark.parametrize(
    ("readout", "columns", "layers"), list(product(["last", "states", "pool"], [False, True], [1, 2, 3]))
)
def test_every_kind_of_network_answers_as_in_python(
    readout: str, columns: bool, layers: int, open_page: Any
) -> None:
    network = make_network(readout=readout, columns=columns, layers=layers, forget_bias=-0.7)
    assert_alike(open_page(network), network, strokes.draw("test", 40)[0])


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


def test_example_pictures_are_answered_as_by_predict(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    inputs = [prediction.Source(str(path)) for path in PICTURES]
    for path, answer in zip(PICTURES, prediction.predict(shipped, inputs), strict=True):
        label, _, share = opened.load(path).partition(" (")
        best = answer.top[0]
        assert label == best.label, path.name
        # Browsers decode a JPEG a grey level or two apart from Pillow.
        assert float(share.split()[0]) == pytest.approx(100 * best.probability, abs=0.5), path.name


def test_a_file_that_the_browser_cannot_show_is_named_and_changes_nothing(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    assert opened.load(DIGITS_FOLDER / "8-inverted.png").startswith("8 (")
    assert "4-16-bit.tif cannot be read" in opened.load(DIGITS_FOLDER / "4-16-bit.tif")
    assert opened.answer.startswith("8 (")


def seven(side: int, pen: float, paper: float, ink: float) -> np.ndarray:
    """A 7 on a square page, (side, side) float64 grey levels."""
    y, x = np.mgrid[0:side, 0:side] / side
    far = np.full((side, side), np.inf)
    for (x0, y0), (x1, y1) in pairwise(SEVEN):
        t = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        t = t.clip(0, 1)
        far = np.minimum(far, np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)))
    share = (0.5 + (pen / 2 - far * side)).clip(0, 1)
    return paper + (ink - paper) * share  # type: ignore[no-any-return]


def awkward() -> dict[str, np.ndarray]:
    """Pictures (height, width) or (height, width, 4) uint8, each with another thing to do."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:1:300j, 0:1:300j]
    lamp = 0.5 + 0.5 * np.exp(-((x - 0.1) ** 2) - (y - 0.2) ** 2)
    framed = seven(300, 16, 250, 20)
    framed[:12] = framed[-12:] = framed[:, :12] = framed[:, -12:] = 30
    cornered = seven(300, 16, 250, 20)
    cornered[:40, :40] = 20
    specked = seven(300, 16, 250, 20)
    specked[20:24, 20:24] = 0
    clear = np.zeros((300, 300, 4))
    clear[..., 3] = seven(300, 16, 0, 255)
    pictures = {
        "dark on light": seven(200, 12, 255, 0),
        "light on dark": seven(200, 12, 30, 220),
        "very thin": seven(400, 2, 255, 60),
        "very small": seven(16, 2, 255, 0),
        "large": seven(900, 50, 240, 40),
        "wide": np.hstack([seven(200, 12, 255, 0), np.full((200, 150), 255.0)]),
        "lit from one side": seven(300, 16, 235, 60) * lamp,
        "noisy": seven(300, 16, 180, 120) + random.normal(0, 9, (300, 300)),
        "framed": framed,
        "with a dark corner": cornered,
        "specked": specked,
        "on nothing": clear,
        "in MNIST's convention": strokes.draw("validation", 1)[0][0],
        "blank": np.full((100, 80), 200.0),
        "noise alone": random.normal(128, 6, (120, 120)),
    }
    return {name: values.clip(0, 255).round().astype(np.uint8) for name, values in pictures.items()}


def read_in_page(opened: Page, picture: np.ndarray) -> np.ndarray | None:
    """What the page's reader makes of pixels, (28, 28)."""
    if picture.ndim == 2:
        picture = np.dstack([picture] * 3 + [np.full_like(picture, 255)])
    script = """const bytes = Uint8ClampedArray.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        const pixels = birnn.read(new ImageData(bytes, arguments[1]));
        return pixels && Array.from(pixels);"""
    found = opened.run(script, base64.b64encode(picture.tobytes()).decode(), picture.shape[1])
    return None if found is None else np.array(found).reshape(28, 28)


def test_the_pages_reader_makes_the_same_28_by_28_of_awkward_pictures(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    for name, picture in awkward().items():
        expected = read.read(decode.encode_png(picture))
        found = read_in_page(opened, picture)
        assert (found is None) == (expected is None), name
        if found is not None and expected is not None:
            exact = name == "in MNIST's convention"
            assert np.abs(found - expected.astype(int)).max() <= (0 if exact else 2), name


def test_a_plain_network_takes_the_picture_as_it_is_in_28_by_28(open_page: Any) -> None:
    opened = open_page(make_network(("coat", "shoe"), "plain"))
    for name, picture in awkward().items():
        expected = read.read(decode.encode_png(picture), "plain")
        found = read_in_page(opened, picture)
        assert found is not None and expected is not None
        assert np.abs(found - expected.astype(int)).max() <= 1, name
    opened.draw(SEVEN)
    assert opened.wait(lambda: opened.said).partition("?")[0].partition(" (")[0] in ("coat", "shoe")
    opened.find("clear").click()
    assert opened.answer == "no ink"


def test_a_drawn_digit_is_answered_as_predict_answers_its_png(
    open_page: Any, shipped: Checkpoint, tmp_path: Path
) -> None:
    opened = open_page(shipped)
    assert opened.answer == "no ink"
    opened.draw(SEVEN)
    assert opened.answer.startswith("7 (")
    assert opened.said == opened.answer
    drawn = base64.b64decode(opened.run("return birnn.sheet()").partition(",")[2])
    (tmp_path / "drawn.png").write_bytes(drawn)
    (answer,) = prediction.predict(shipped, [prediction.Source(str(tmp_path / "drawn.png"))])
    assert opened.answer == f"7 ({percent(answer.top[0].probability)})"
    assert Image.open(io.BytesIO(drawn)).getextrema()[0] == (0, 255)


def test_undo_takes_back_strokes_pictures_and_clear(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    opened.draw(SEVEN)
    drawn = opened.answer
    opened.find("clear").click()
    assert (opened.answer, opened.said) == ("no ink", "no ink")
    opened.keys("clear", "z", held="\ue009")  # Ctrl+Z
    assert opened.answer == drawn
    assert opened.load(DIGITS_FOLDER / "3-marker.png").startswith("3 (")
    opened.draw(SEVEN)  # in place of the picture, not on it
    assert opened.answer == drawn
    for expected in ("3 (", drawn, "no ink", "no ink"):
        opened.find("undo").click()
        assert opened.answer.startswith(expected)


def test_the_keyboard_draws(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    up, right, down, left = ("\ue013", "\ue014", "\ue015", "\ue012")
    opened.keys("canvas", *[left] * 4, *[up] * 6, " ", *[right] * 8)
    assert opened.find("pen").is_displayed()
    assert opened.answer != "no ink"  # live, before the pen is lifted
    opened.keys("canvas", *[down] * 12, " ")
    assert opened.answer.startswith("7")
    assert opened.said == opened.answer
    opened.keys("canvas", *[down] * 3)  # the pen is up
    assert opened.answer == opened.said


def test_each_step_shows_the_answers_to_the_first_and_to_the_last_rows(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.load(DIGITS_FOLDER / "1-mnist.png")
    with Image.open(DIGITS_FOLDER / "1-mnist.png") as picture:
        pixels = np.asarray(picture)
    opened.keys("step", "\ue010", *["\ue012"] * 11)  # to the end, then to the left
    assert opened.step == "17 of 28"
    first, last = pixels.copy(), pixels.copy()
    first[17:] = 0
    last[:11] = 0
    rows = to_rows(np.stack([first, last]))
    likely = numpy_engine.probabilities(
        numpy_engine.logits(shipped.config.architecture, shipped.weights, rows)
    )
    for column, expected in zip(("down", "up"), likely, strict=True):
        found = [float(text.split()[0]) for text in opened.shares(column)]
        np.testing.assert_allclose(found, 100 * expected, atol=0.06)
    opened.keys("step", "\ue010")
    assert opened.shares("down") == opened.shares("up")


def test_a_finished_stroke_is_read_row_by_row_unless_no_motion_is_wanted(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw(SEVEN)
    assert opened.step != "28 of 28"
    opened.wait(lambda: opened.step == "28 of 28")
    opened.find("play").click()
    opened.find("play").click()  # it says Pause now
    held = opened.step
    time.sleep(0.2)
    assert opened.step == held != "28 of 28"
    opened.emulate(
        "setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    opened.wait(lambda: not opened.find("play").is_displayed())
    opened.draw(SEVEN)
    assert opened.step == "28 of 28"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_can_be_dropped_and_pasted(way: str, open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    script = """const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], "2.bmp", {type: "image/bmp"}));
        const settings = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
        const kind = arguments[1] === "drop" ? DragEvent : ClipboardEvent;
        document.body.dispatchEvent(new kind(arguments[1], settings));"""
    opened.run(script, base64.b64encode((DIGITS_FOLDER / "2-tiny.bmp").read_bytes()).decode(), way)
    assert opened.wait(lambda: opened.said).startswith("2 (")


def test_a_phone_scrolls_in_one_direction_alone_and_a_finger_draws(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.emulate("setDeviceMetricsOverride", PHONE)
    opened.draw(SEVEN)
    assert opened.answer.startswith("7 (")
    assert opened.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    assert opened.run("return getComputedStyle(document.getElementById('canvas')).touchAction") == "none"


def test_any_names_of_any_number_of_classes_are_shown_as_text(open_page: Any) -> None:
    many = tuple(f"class {k} with a long name" for k in range(60))
    for classes in (HOSTILE, ("yes", "no"), many):
        opened = open_page(make_network(classes))
        opened.emulate("setDeviceMetricsOverride", PHONE)
        opened.draw(SEVEN)
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


def test_everything_that_takes_the_keyboard_has_a_name_and_shows_that_it_has_it(
    open_page: Any, shipped: Checkpoint
) -> None:
    opened = open_page(shipped)
    opened.draw(SEVEN)
    tree = opened.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    focusable = [
        node
        for node in tree
        if any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
        and node["role"]["value"] != "RootWebArea"
    ]
    names = {node["name"]["value"] for node in focusable}
    assert {"Drawing area", "Undo", "Clear", "Load a picture", "Rows"} < names
    assert all(names), focusable
    for name in ("canvas", "undo", "clear", "play", "step"):
        opened.keys(name)
        assert opened.run("return getComputedStyle(document.activeElement).outlineWidth") == "3px", name
    opened.keys("file")
    assert opened.run("return getComputedStyle(document.querySelector('.file')).outlineWidth") == "3px"


def test_the_page_cannot_connect_to_anything(open_page: Any, shipped: Checkpoint) -> None:
    opened = open_page(shipped)
    script = """const done = arguments[0];
        fetch("http://127.0.0.1:9/").then(() => done("connected"), () => done("refused"))"""
    assert opened.driver.execute_async_script(script) == "refused"
    complaints = [entry["message"] for entry in opened.driver.get_log("browser")]
    assert complaints and all("Content Security Policy" in message for message in complaints)
