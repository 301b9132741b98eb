"""The picture in the README is one of today's report. Needs `make demo` and Chromium."""

import pytest

import report_picture as picture


def test_the_picture_shows_the_headings_of_todays_report() -> None:
    if picture.CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    if not picture.REPORT.exists():
        pytest.skip("the demo study has not run: make demo")
    image, headings = picture.take()
    assert image.size == (1280, 1000)
    assert headings == picture.headings_of(picture.PICTURE), "run python tests/support/report_picture.py"
