"""Make the page of the shipped model, draw a 7 in it, and take a picture of it halfway.

It needs Chromium with its driver, and Selenium.

python examples/screenshot.py
"""

import shutil
import subprocess
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

from birnn_cli import page, runs
from birnn_cli.data.files import decode
from birnn_cli.files import write_atomically
from birnn_cli.network import checkpoint

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "draw.html", HERE / "draw.png"
SIZE = (1120, 830)
ROWS_READ = 16
# As shares of the sheet's side: a 3 in one stroke.
STROKE = [(0.3, 0.24), (0.42, 0.17), (0.58, 0.18), (0.65, 0.28), (0.6, 0.4), (0.45, 0.47), (0.6, 0.52)]
STROKE += [(0.69, 0.63), (0.65, 0.76), (0.52, 0.84), (0.38, 0.83), (0.28, 0.76)]
