"""A contact sheet of pairs of images, to look at those that the search doubts."""

from collections.abc import Mapping

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.images.thumbnails import SIDE

COLUMNS, MOST = 3, 30
LINE = 12  # height of a line of text in pixels


def draw_pairs(pairs: pd.DataFrame, thumbnails: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Draw the doubted pairs and then the others, the least alike first, at most MOST; uint8 (height, width) gray.

    `pairs` has image_a, image_b, verdict and correlation, the most alike first.
    """
    shown = pairs[::-1].sort_values("verdict", kind="stable", key=lambda verdict: verdict != "doubted").head(MOST)
    cells = []
    for pair in shown.itertuples():
        cell = _blank()
        for left, name in ((0, pair.image_a), (SIDE, pair.image_b)):
            gray = thumbnails[name]
            cell[2 * LINE : 2 * LINE + gray.shape[0], left : left + gray.shape[1]] = gray
        cells.append(_write(cell, f"{pair.image_a}  {pair.image_b}", f"{pair.verdict}, {pair.correlation:.2f}"))
    if not cells:
        cells = [_write(_blank(), "No two images are near-duplicates.")]
    cells += [_blank()] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS)])


def _blank() -> NDArray[np.uint8]:
    return np.full((SIDE + 3 * LINE, 2 * SIDE + LINE), 255, np.uint8)


def _write(cell: NDArray[np.uint8], *lines: str) -> NDArray[np.uint8]:
    for line, text in enumerate(lines, start=1):
        cv2.putText(cell, text, (2, line * LINE - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 0, 1, cv2.LINE_AA)
    return cell
