"""Export the page of the shipped model, draw a 3 in it, and take a screenshot while the page reads it.

This needs Selenium, and Chromium with its driver.

python examples/draw_screenshot.py
"""

import shutil
from pathlib import Path

import numpy as np
from selenium import webdriver
from selenium.webdriver import ActionChains

from birnn_cli.data import strokes
from birnn_cli.export import export
from birnn_cli.runs import checkpoint, folders

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "draw.html", HERE / "draw.png"
WIDTH, HEIGHT = 1100, 800
ROWS_READ = 17
# Points of one stroke, in fractions of the sheet's side, from its middle.
THREE = [(-0.2, -0.26), (-0.08, -0.33), (0.08, -0.32), (0.15, -0.22), (0.1, -0.1), (-0.05, -0.03)]
THREE += [(0.1, 0.02), (0.19, 0.13), (0.15, 0.26), (0.02, 0.34), (-0.12, 0.33), (-0.22, 0.26)]


def main() -> None:
    """Write the page and the screenshot."""
    export(checkpoint.load(folders.SHIPPED), PAGE, "html")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(PAGE.as_uri())
        canvas, pen = driver.find_element("id", "canvas"), ActionChains(driver, duration=10)
        for number, (x, y) in enumerate(strokes.spline_matrix(len(THREE)) @ np.array(THREE)):
            side = canvas.size["width"]
            pen.move_to_element_with_offset(canvas, round(x * side), round(y * side))
            if number == 0:
                pen.click_and_hold()
        pen.release().perform()
        step = driver.find_element("id", "step")
        driver.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            *(step, ROWS_READ),
        )
        driver.save_screenshot(PICTURE)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
