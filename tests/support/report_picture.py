"""Takes docs/report.png, the picture of the demo's report in the README.

python tests/support/report_picture.py

The picture also holds the headings that it shows, so that a test can tell that the report has changed since.
"""

import io
import shutil
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "results" / "demo" / "report" / "report.html"
PICTURE = ROOT / "docs" / "report.png"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
KEY = "headings"


def take() -> tuple[Image.Image, str]:
    """Return the first screen of the demo's report, and the headings that are on it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
        page.goto(REPORT.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        image = Image.open(io.BytesIO(page.screenshot()))
        headings = page.locator(".cards .what, #table-models thead th").all_inner_texts()
        browser.close()
    return image, " | ".join(" ".join(heading.split()) for heading in headings)


def headings_of(picture: Path) -> str:
    """Return the headings that a picture holds."""
    with Image.open(picture) as image:
        return str(image.info.get(KEY, ""))


def main() -> None:
    """Write the picture."""
    image, headings = take()
    info = PngInfo()
    info.add_itxt(KEY, headings)
    image.convert("RGB").quantize(128).save(PICTURE, pnginfo=info, optimize=True)


if __name__ == "__main__":
    main()
