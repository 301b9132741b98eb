"""Near-duplicates: images of one photograph. Descriptors propose pairs; the registered fine structure decides.

All figures come from thumbnails of the original files, sorted by their content. So neither the order of the table nor
an option of the image store changes them.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from melanoma.common.cli import progress
from melanoma.images.registration import (
    TRANSPOSED,
    agreement,
    coarse,
    detail,
    local_contrast,
    starting_map,
)
from melanoma.images.thumbnails import Thumbnail

COLUMNS = {"image_a": "str", "image_b": "str", "verdict": "str", "correlation": "float64", "chance_pairs": "float64"}
# The correlation of the fine structure from which two images are merged, and from which they are doubted.
MERGED, DOUBTED = 0.55, 0.45
# Of two unrelated real images, the correlation is above TAIL_START with the probability TAIL_SHARE, and then exceeds it
# by an exponential variable. Its mean was 0.023, and TAIL_SCALE is the upper end of the interval of that mean: see
# benchmarks/results/near_duplicates.md.
TAIL_START, TAIL_SHARE, TAIL_SCALE = 0.2, 3e-4, 0.03
SIMILAR = 0.55  # of two descriptors; 0.1 % of the pairs of unrelated real images reach it
DESCRIBED, FREQUENCIES = 32, 16  # sides of the image that is described and of its lowest cosine coefficients
LEAST_STRUCTURE = 0.1  # of the fine detail after the division by its deviation; less is a uniform image
ROWS, TILE = 64, 1024  # descriptors that are compared at a time; their products fit in the cache
PAIRS = 64  # that a thread registers at a time

# Windows of an image, (x, y, width, height) as fractions of its sides, which a crop of it may show. The largest square
# in the center comes last.
WINDOWS = (
    (0, 0, 1, 1),
    *((x, y, 0.94, 0.94) for y in (0, 0.06) for x in (0, 0.06)),
    (0.025, 0.025, 0.95, 0.95),
    (0.05, 0.05, 0.9, 0.9),
    (0.1, 0.1, 0.8, 0.8),
    (0, 0.125, 1, 0.75),
    (0.125, 0, 0.75, 1),
    *((0, 0.05, 0.9, 0.9), (0.1, 0.05, 0.9, 0.9), (0.05, 0, 0.9, 0.9), (0.05, 0.1, 0.9, 0.9)),
)


class Candidates(NamedTuple):
    """Pairs to register: `window` number `view` of image `part`, in an `orientation`, looks like the image `whole`."""

    whole: NDArray[np.int64]
    part: NDArray[np.int64]
    view: NDArray[np.int64]
    orientation: NDArray[np.int64]


def find(names: list[str], thumbnails: list[Thumbnail | None], threads: int) -> pd.DataFrame:
    """Return all pairs of near-duplicates, the most alike first, with the columns and types of COLUMNS.

    image_a < image_b. `correlation` of their fine structure, 1 for identical files; `verdict`, merged or doubted;
    `chance_pairs`, how many pairs of unrelated images are expected to be as alike among as many images. Of several
    identical files, each is a pair with the next one, and one stands for all in other pairs. An image without
    structure, such as a black one, is in no pair: two of them need not show one lesion.
    """
    known = [(each.sha256, name, each.gray) for name, each in zip(names, thumbnails, strict=True) if each is not None]
    known.sort(key=lambda image: image[:2])
    first = [image for at, image in enumerate(known) if at == 0 or image[0] != known[at - 1][0]]
    searched = [image for image in first if has_structure(image[2])]
    telling = {image[0] for image in searched}
    same = [(a[1], b[1], 1.0) for a, b in pairwise(known) if a[0] == b[0] and a[0] in telling]
    alike = [(searched[i][1], searched[j][1], r) for i, j, r in compare([each[2] for each in searched], threads)]
    pairs = pd.DataFrame(
        [(*sorted(pair[:2]), pair[2]) for pair in same + alike], columns=["image_a", "image_b", "correlation"]
    )
    pairs["verdict"] = np.where(pairs["correlation"] >= MERGED, "merged", "doubted")
    pairs["chance_pairs"] = [chance_pairs(correlation, len(known)) for correlation in pairs["correlation"]]
    pairs = pairs[list(COLUMNS)].astype(COLUMNS)
    order = ["correlation", "image_a", "image_b"]
    return pairs.sort_values(order, ascending=[False, True, True], ignore_index=True)


def chance_pairs(correlation: float, images: int) -> float:
    """Return the expected number of pairs of unrelated images with at least this correlation (of at least 0.2)."""
    return math.comb(images, 2) * TAIL_SHARE * math.exp(-(correlation - TAIL_START) / TAIL_SCALE)


def has_structure(gray: NDArray[np.uint8]) -> bool:
    """Tell whether an image has fine detail that could agree with that of another one."""
    return float(np.square(detail(gray, 1.2, 3, 0.5)).mean()) >= LEAST_STRUCTURE


def compare(images: list[NDArray[np.uint8]], threads: int, least: float = DOUBTED) -> list[tuple[int, int, float]]:
    """Return the pairs of thumbnails whose correlation is at least `least`: positions i < j, and the correlation."""
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1):
        described = pool.map(describe, images)
        descriptors = np.array(list(progress(described, "descriptors", len(images))), np.float32)
        candidates = propose(descriptors, pool)
        smallest = list(pool.map(coarse, images))

        def register(at: int) -> float:
            whole, part = int(candidates.whole[at]), int(candidates.part[at])
            start = starting_map(
                images[whole].shape,
                windows(images[part].shape)[candidates.view[at]],
                int(candidates.orientation[at]),
            )
            return agreement(images[whole], images[part], smallest[whole], smallest[part], start)

        def register_batch(start: int) -> list[float]:
            return [register(at) for at in range(start, min(start + PAIRS, len(candidates.whole)))]

        starts = range(0, len(candidates.whole), PAIRS)
        batches = progress(pool.map(register_batch, starts), f"registering blocks of {PAIRS} pairs", len(starts))
        correlations = [correlation for batch in batches for correlation in batch]
    return [
        (min(whole, part), max(whole, part), correlation)
        for whole, part, correlation in zip(*(each.tolist() for each in candidates[:2]), correlations, strict=True)
        if correlation >= least
    ]


def windows(shape: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Return the windows of an image of `shape` (height, width) in pixels: x, y, width, height."""
    height, width = shape
    side = min(shape)
    parts = [(x * width, y * height, across * width, down * height) for x, y, across, down in WINDOWS]
    return [*parts, ((width - side) / 2, (height - side) / 2, side, side)]


def describe(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a descriptor of each window, (windows, coefficients), of length 1, or 0 for a uniform window.

    It has the low cosine coefficients of the local contrast, weighted by their frequency: all images are alike in the
    lowest ones, which show a dark blob on skin.
    """
    described = []
    for x, y, width, height in windows(gray.shape):
        left, top = round(x), round(y)
        part = gray[top : max(top + 1, round(y + height)), left : max(left + 1, round(x + width))]
        small = cv2.resize(part, (DESCRIBED, DESCRIBED), interpolation=cv2.INTER_AREA)
        low = cv2.dct(local_contrast(small, 3, 4) * _CENTER)[:FREQUENCIES, :FREQUENCIES]
        values = (low * _FREQUENCY**1.5)[_USED]
        described.append(values / max(float(np.linalg.norm(values)), 1e-6))
    return np.array(described, np.float32)


def propose(descriptors: NDArray[np.float32], pool: ThreadPoolExecutor) -> Candidates:
    """Return the pairs of images of which one looks like a window of the other one, in the way they look most alike.

    Every pair is compared, so the time is quadratic: see benchmarks/results/near_duplicates.md.
    """
    whole = np.ascontiguousarray(descriptors[:, 0].T)
    starts = range(0, len(descriptors), ROWS)

    def search(start: int) -> NDArray[np.float64]:
        hits = [np.empty((0, 5))]
        for transposed, order in ((0, slice(None)), (TRANSPOSED, _TRANSPOSED)):
            turned = descriptors[start : start + ROWS][..., order]
            for left in range(0, len(descriptors), TILE):
                tile = np.ascontiguousarray(whole[:, left : left + TILE])
                for view in range(turned.shape[1]):
                    for flips, similarity in enumerate(similarities(turned[:, view], tile)):
                        row, column = np.divmod(np.flatnonzero(similarity >= SIMILAR), tile.shape[1])
                        label = np.full((len(row), 2), (view, transposed + flips))
                        found = (column + left, row + start, label, similarity[row, column])
                        hits.append(np.column_stack(found))
        return best_of_each_pair(np.concatenate(hits))

    blocks = progress(pool.map(search, starts), f"comparing blocks of {ROWS} images", len(starts))
    best = best_of_each_pair(np.concatenate([np.empty((0, 5)), *blocks]))
    return Candidates(*best[:, :4].T.astype(np.int64))


def similarities(
    turned: NDArray[np.float32], tile: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Compare descriptors (rows, coefficients) with others (coefficients, columns), in the four orientations by flips.

    A flip changes the sign of every other cosine coefficient. So the four are sums and differences of four products,
    of the coefficients of even or odd frequency down and across.
    """
    even_even, even_odd, odd_even, odd_odd = (turned[:, part] @ tile[part] for part in _PARITIES)
    even, odd = even_even + even_odd, odd_even + odd_odd
    flipped_even, flipped_odd = even_even - even_odd, odd_even - odd_odd
    return even + odd, flipped_even + flipped_odd, even - odd, flipped_even - flipped_odd


def best_of_each_pair(hits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the most similar of the rows (whole, part, view, orientation, similarity) of each pair, in either role."""
    hits = hits[hits[:, 0] != hits[:, 1]]
    low, high = hits[:, :2].min(axis=1), hits[:, :2].max(axis=1)
    order = np.lexsort((*hits[:, :4].T, -hits[:, 4], high, low))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    return hits[order[is_first]]


_FREQUENCY = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]).astype(np.float32)
_DOWN, _OVER = np.nonzero((_FREQUENCY >= 2.5) & (_FREQUENCY < FREQUENCIES))
_ORDER = np.lexsort((_OVER % 2, _DOWN % 2))
_USED = (_DOWN[_ORDER], _OVER[_ORDER])
_PARITY = np.searchsorted(_USED[0] % 2 * 2 + _USED[1] % 2, range(5))
_PARITIES = tuple(map(slice, _PARITY[:-1].tolist(), _PARITY[1:].tolist()))
_NUMBER = np.zeros(_FREQUENCY.shape, np.int64)
_NUMBER[_USED] = np.arange(len(_ORDER))
_TRANSPOSED = _NUMBER.T[_USED]
_ACROSS = (np.arange(DESCRIBED) - (DESCRIBED - 1) / 2) / (DESCRIBED / 2)
# Falls from 1 to 0 toward the corners, which a lens darkens.
_CENTER = np.clip((1.2 - np.hypot(_ACROSS[:, None], _ACROSS)) / 0.4, 0, 1).astype(np.float32)
