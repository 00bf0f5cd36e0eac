"""Export the page of the shipped model, and take a screenshot while it reads its example.

This needs Selenium, and Chromium with its driver.

python examples/draw_screenshot.py
"""

import shutil
from pathlib import Path

from selenium import webdriver

from birnn_cli.export.page import to_html
from birnn_cli.runs import checkpoint, folders

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "draw.html", HERE / "draw.png"
WIDTH, HEIGHT = 1072, 784
ROWS_READ = 17


def main() -> None:
    """Write the page and the screenshot."""
    PAGE.write_bytes(to_html(checkpoint.load(folders.SHIPPED)))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(PAGE.as_uri())
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
