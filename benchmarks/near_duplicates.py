"""Measures the search for near-duplicates in a data set of the size of ISIC 2020: time, peak memory, and recall.

python benchmarks/near_duplicates.py        writes results/near_duplicates.md
"""

from pathlib import Path

import cv2
import numpy as np
from measurement import Stopwatch, conditions, markdown, peak_memory, publish
from numpy.typing import NDArray

from melanoma.images.near_duplicates import SIDE, confirmed, shrink
from melanoma.images.quality import perceptual_hash

RESULTS = Path(__file__).parent / "results" / "near_duplicates.md"
IMAGES, COPIES = 33_126, 500
HASH_DISTANCE, MAX_DIFFERENCE, THREADS = 10, 0.35, 4
LIMIT = 60  # seconds


class DrawnStore:
    """A store whose images are drawn when they are read: a dark blob on textured skin.

    The last COPIES images are altered copies of the first ones. About 0.3 % of the pairs of other images have similar
    hashes by chance, as in real images.
    """

    size = 2 * SIDE

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images of the rows, uint8 (n, size, size, 3)."""
        return np.stack([self.copy(int(row)) if row >= IMAGES - COPIES else self.draw(int(row)) for row in rows])

    def draw(self, row: int) -> NDArray[np.uint8]:
        """Draw the image of a row."""
        random, side = np.random.default_rng(row), self.size
        y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
        (left, top), width = random.uniform(-0.12, 0.12, 2), random.uniform(0.1, 0.3)
        blob = np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * width**2))
        grids = (random.standard_normal((cells, cells), np.float32) for cells in (5, 16, 48))
        texture = sum(level * cv2.resize(grid, (side, side)) for level, grid in zip((3, 4, 8), grids, strict=True))
        gray = 190 - random.uniform(20, 120) * blob + texture
        return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def copy(self, row: int) -> NDArray[np.uint8]:
        """Return a copy that is cropped by a pixel on each side, brighter and compressed. Every fifth is mirrored."""
        image = self.draw(row - (IMAGES - COPIES))
        image = cv2.resize(image[1:-1, 1:-1], (self.size, self.size))
        image = np.clip(image * 1.1, 0, 255).astype(np.uint8)
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
        return image[:, ::-1] if row % 5 == 0 else image


def main() -> None:
    """Measure and publish."""
    with Stopwatch() as drawing:
        small = shrink(DrawnStore(), np.arange(IMAGES))
    hashes = np.array([perceptual_hash(gray) for gray in small.gray], np.uint64)
    with Stopwatch() as search:
        pairs = confirmed(hashes, small, HASH_DISTANCE, MAX_DIFFERENCE, THREADS)
    is_copy = pairs["second"] == pairs["first"] + IMAGES - COPIES
    rows = [
        [f"search among {IMAGES:,} images in 8 orientations, {THREADS} threads", f"{search.wall:.1f} s"],
        [f"{COPIES} copies: share that is detected", f"{is_copy.sum() / COPIES:.1%}"],
        ["other pairs that are reported as near-duplicates", str((~is_copy).sum())],
        ["peak memory", f"{peak_memory():.2f} GB"],
        ["drawing and shrinking of the images (not part of the search)", f"{drawing.wall:.0f} s"],
    ]
    how = f"one run; drawn images; hash_distance {HASH_DISTANCE}, max_difference {MAX_DIFFERENCE}"
    limit = f"Limit of the search: {LIMIT} s. "
    publish(RESULTS, "# Near-duplicates\n", markdown(["measure", "value"], rows), limit + conditions(how))


if __name__ == "__main__":
    main()
