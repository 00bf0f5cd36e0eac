"""Take the screenshot of a report that `examples/training.md` shows, with Chromium.

birnn eval --all --report report && python examples/report_screenshot.py report
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent / "report.png"
# In pixels: from the top of the page down to the first row of mistakes.
WIDTH, HEIGHT = 1120, 2190
COLOURS = 160


def main(folder: Path) -> None:
    """Render the page in a headless browser and save its upper part, in few colours."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))))
    with tempfile.TemporaryDirectory() as temporary:
        shot = Path(temporary) / "shot.png"
        options = ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}")
        page = (folder / "index.html").resolve().as_uri()
        subprocess.run([browser, *options, f"--window-size={WIDTH},{HEIGHT}", page], check=True)
        picture = (
            Image.open(shot)
            .convert("RGB")
            .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        )
        picture.save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
