"""The search for near-duplicates among as many images as ISIC 2020 has: seconds, peak memory, and what is found.

python benchmarks/split.py        writes results/split.md
"""

import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from conditions import conditions, markdown

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from melanoma.common.files import write_text
from melanoma.images.near_duplicates import ROWS, SIDE, candidate_pairs, confirmed, orientations, shrink
from melanoma.images.quality import perceptual_hash

RESULTS = Path(__file__).parent / "results" / "split.md"
IMAGES, COPIES = 33_126, 500
HASH_DISTANCE, MAX_DIFFERENCE, THREADS = 10, 0.35, 4
LIMIT = 60


class Drawn:
    """A store of lesions drawn on demand: a dark blob on skin with a texture; the last are copies of the first.

    Their hashes are as often near each other by chance as those of real images: .3 % of the pairs.
    """

    size = 2 * SIDE

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return uint8 (n, size, size, 3)."""
        return np.stack([self.copy(int(row)) if row >= IMAGES - COPIES else self.draw(int(row)) for row in rows])

    def draw(self, row: int) -> np.ndarray:
        """Draw the lesion of a row."""
        random, side = np.random.default_rng(row), self.size
        y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
        (left, top), width = random.uniform(-0.12, 0.12, 2), random.uniform(0.1, 0.3)
        blob = np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * width**2))
        grids = (random.standard_normal((cells, cells), np.float32) for cells in (5, 16, 48))
        texture = sum(level * cv2.resize(grid, (side, side)) for level, grid in zip((3, 4, 8), grids, strict=True))
        gray = 190 - random.uniform(20, 120) * blob + texture
        return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def copy(self, row: int) -> np.ndarray:
        """Return a copy as a publisher makes one: cropped by 1 % a side, brighter, re-encoded; some mirrored."""
        image = self.draw(row - (IMAGES - COPIES))
        image = cv2.resize(image[1:-1, 1:-1], (self.size, self.size))
        image = np.clip(image * 1.1, 0, 255).astype(np.uint8)
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
        return image[:, ::-1] if row % 5 == 0 else image


def count_candidates(hashes: np.ndarray) -> int:
    """Return how many pairs of hashes, uint64 (n,), are near in some orientation."""
    turned = orientations(hashes)

    def count(start: int) -> int:
        return sum(len(found) for found in candidate_pairs(hashes, turned, start, HASH_DISTANCE))

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(count, range(0, len(hashes), ROWS)))


def main() -> None:
    """Measure and publish."""
    start = time.perf_counter()
    small = shrink(Drawn(), np.arange(IMAGES))
    drawing = time.perf_counter() - start
    hashes = np.array([perceptual_hash(gray) for gray in small.gray], np.uint64)

    start = time.perf_counter()
    candidates = count_candidates(hashes)
    searching = time.perf_counter() - start

    start = time.perf_counter()
    pairs = confirmed(hashes, small, HASH_DISTANCE, MAX_DIFFERENCE, THREADS)
    whole = time.perf_counter() - start
    is_copy = pairs["second"] == pairs["first"] + IMAGES - COPIES
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    rows = [
        [f"candidates among {IMAGES:,} hashes, 8 orientations, {THREADS} threads", f"{searching:.1f} s"],
        ["candidates", f"{candidates:,}, {candidates / (IMAGES * (IMAGES - 1) / 2):.2%} of the pairs"],
        ["candidates and their confirmation on pixels", f"{whole:.1f} s"],
        [f"of {COPIES} copies, found", f"{is_copy.sum() / COPIES:.1%}"],
        ["other pairs taken for copies", str((~is_copy).sum())],
        ["peak memory", f"{peak:.2f} GB"],
        ["drawing and shrinking the images, not part of the search", f"{drawing:.0f} s"],
    ]
    how = f"one run; drawn images; hash_distance {HASH_DISTANCE}, max_difference {MAX_DIFFERENCE}"
    table = markdown(["what", "measured"], rows)
    write_text(RESULTS, f"# Near-duplicates\n\n{table}\nLimit of the search: {LIMIT} s. {conditions(how)}")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
