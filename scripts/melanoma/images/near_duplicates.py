"""Near-duplicates: images of one photograph, candidates by perceptual hash, each confirmed on its pixels."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from melanoma.common.cli import progress
from melanoma.images.store import ImageStore

CANDIDATE = ["first", "second", "orientation", "hamming"]
COLUMNS = {"image_1": "str", "image_2": "str", "hamming": "int64", "difference": "float64"}
SIDE = 64  # of the small gray versions
# Least correlation at the best shift, of every other pixel, then of all. Among real images 1 % of unrelated candidates
# pass both, and 98 % of copies cropped by 2 % a side.
LOOKS = ((2, 0.75), (1, 0.9))
ALIKE = 0.95  # correlation at which no better alignment is looked for
FLAT = 0.5  # gray levels of detail under which an image is featureless: pixels cannot confirm anything about it
TRANSPOSED, ROWS_FLIPPED, COLUMNS_FLIPPED = 4, 2, 1  # an orientation is a sum of these
ROWS, TILE, PAIRS = 32, 8192, 128  # hashes and pairs at a time, to stay in the cache and bound memory


class Small(NamedTuple):
    """Small gray versions: `gray` uint8 (n, SIDE, SIDE), `band` int8, their windowed detail, and `flat` bool (n,)."""

    gray: NDArray[np.uint8]
    band: NDArray[np.int8]
    flat: NDArray[np.bool_]


def find(
    quality: pd.DataFrame, store: ImageStore, hash_distance: int, max_difference: float, threads: int
) -> pd.DataFrame:
    """Return all pairs of near-duplicates: image_1, image_2, hamming (bits), difference (0 alike to 1 unlike).

    `quality` is that of all images; its readable rows are the rows of `store`. Two files of equal SHA-256 are a pair,
    of more than two each and the next. Other pairs have perceptual hashes at most `hash_distance` bits apart in one of
    the eight orientations, and differ by at most `max_difference` in their detail when aligned.
    """
    stored = quality[quality["readable"]]
    same = identical_files(stored)
    rows = np.flatnonzero(~stored["sha256"].duplicated())
    small = shrink(store, rows)
    rows, small = rows[~small.flat], Small(*(values[~small.flat] for values in small))
    hashes = stored["phash"].to_numpy(np.uint64)[rows]
    found = confirmed(hashes, small, hash_distance, max_difference, threads)
    names = stored["image"].to_numpy()[rows]
    near = found.assign(image_1=names[found["first"]], image_2=names[found["second"]])[list(COLUMNS)]
    return pd.concat([same, near.astype(COLUMNS)], ignore_index=True)


def identical_files(quality: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of files of equal SHA-256, each with the next of its kind."""
    following = quality.groupby("sha256")["image"].shift(-1)
    pairs = pd.DataFrame({"image_1": quality["image"], "image_2": following, "hamming": 0, "difference": 0.0})
    return pairs.dropna(subset="image_2").astype(COLUMNS).reset_index(drop=True)


def shrink(store: ImageStore, rows: NDArray[np.integer]) -> Small:
    """Return the small gray versions of the store's `rows`, read in blocks."""
    gray = np.empty((len(rows), SIDE, SIDE), np.uint8)
    band = np.empty((len(rows), SIDE, SIDE), np.int8)
    flat = np.empty(len(rows), bool)
    window = np.sqrt(np.outer(np.hanning(SIDE + 2)[1:-1], np.hanning(SIDE + 2)[1:-1])) ** 2
    for start in progress(range(0, len(rows), 64), "shrinking blocks of 64 images"):
        for at, pixels in enumerate(store.read(rows[start : start + 64]), start):
            gray[at] = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            detail = _band(gray[at], 1, 4)
            flat[at] = detail.std() < FLAT
            band[at] = np.rint(_standard(detail) * window * 40)
    return Small(gray, band, flat)


def confirmed(
    hashes: NDArray[np.uint64], small: Small, hash_distance: int, max_difference: float, threads: int
) -> pd.DataFrame:
    """Return the pairs first < second (positions) that pixels confirm, with hamming and difference, in their order."""
    cv2.setNumThreads(1)
    turned = orientations(hashes)

    def look(start: int) -> list[NDArray[np.float64]]:
        found = []
        for candidates in candidates_of(hashes, turned, start, hash_distance):
            for batch in np.array_split(candidates, -(-len(candidates) // PAIRS)):
                difference = differences(small, batch)
                alike = difference <= max_difference
                found.append(np.column_stack([batch[alike], difference[alike]]))
        return found

    starts = range(0, len(hashes), ROWS)
    with ThreadPoolExecutor(threads) as pool:
        blocks = progress(pool.map(look, starts), f"comparing blocks of {ROWS} images", total=len(starts))
        parts = [part for block in blocks for part in block]
    found = pd.DataFrame(np.concatenate([np.empty((0, 5)), *parts]), columns=[*CANDIDATE, "difference"])
    found = found.astype(dict.fromkeys(CANDIDATE, "int64")).sort_values(["first", "second", "difference"])
    return found.drop_duplicates(["first", "second"], ignore_index=True)


def candidates_of(
    hashes: NDArray[np.uint64], turned: NDArray[np.uint64], start: int, hash_distance: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the candidates of ROWS hashes from `start` on with all that follow, by tile, as columns of CANDIDATE.

    Every pair is compared: the time is quadratic, 2 ns for a pair and orientation, and no distance is too large for
    it, as it would be for an index of the hashes' parts.
    """
    for left in range(start, len(hashes), TILE):
        others = hashes[left : left + TILE]
        found = []
        for orientation, own in enumerate(turned[:, start : start + ROWS]):
            distance = np.bitwise_count(own[:, None] ^ others)
            row, column = np.divmod(np.flatnonzero(distance <= hash_distance), len(others))
            first, second, hamming = row + start, column + left, distance[row, column]
            found.append(np.stack([first, second, np.full(len(row), orientation), hamming])[:, first < second])
        candidates = np.concatenate(found, axis=1).T
        if len(candidates):
            yield candidates


def orientations(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes of the images in each orientation, (8, n), up to a few bits.

    A flip turns the sign of every other cosine, and so its bit; transposing an image transposes its cosines. The
    bits are those of 8 x 8 cosines row by row, the most significant first. Not exact, as bits say whether a cosine is
    above the median, which is only about 0.
    """
    bits = np.unpackbits(hashes.astype(">u8")[:, None].view(np.uint8), axis=1).reshape(-1, 8, 8)
    odd = np.arange(8) % 2
    turned = []
    for orientation in range(8):
        flipped = bits.transpose(0, 2, 1) if orientation & TRANSPOSED else bits
        flipped = flipped ^ (odd[:, None] if orientation & ROWS_FLIPPED else 0)
        flipped = flipped ^ (odd if orientation & COLUMNS_FLIPPED else 0)
        packed = np.packbits(flipped.astype(np.uint8).reshape(-1, 64), axis=1)
        turned.append(packed.view(">u8")[:, 0].astype(np.uint64))
    return np.stack(turned)


def differences(small: Small, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 - the correlation of each candidate pair's detail when aligned, in [0, 1]; 1 where no closer look pays.

    Looks at every small shift, of every other pixel and then of all, leave few pairs that are aligned one by one.
    """
    difference = np.ones(len(candidates))
    left = np.arange(len(candidates))
    for stride, least in LOOKS:
        left = left[_best_shift(small.band[:, ::stride, ::stride], candidates[left]) >= least]
    for at in left:
        first, second, orientation, _ = candidates[at].tolist()
        one = oriented(small.gray[first], orientation)
        difference[at] = 1 - max(aligned_correlation(one, small.gray[second]), 0.0)
    return difference


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """Return images (..., s, s) in one of the eight orientations: transposed, then rows and columns flipped."""
    if orientation & TRANSPOSED:
        images = images.swapaxes(-1, -2)
    if orientation & ROWS_FLIPPED:
        images = images[..., ::-1, :]
    if orientation & COLUMNS_FLIPPED:
        images = images[..., ::-1]
    return np.ascontiguousarray(images)


def aligned_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the best correlation of fine detail of two small gray images under an affine map of one to the other."""
    identity = np.eye(2, 3, dtype=np.float32)
    best = _detail_correlation(one, other, identity)
    if best > ALIKE:
        return best
    map_ = identity
    for low, high, motion in ((1, 5, cv2.MOTION_EUCLIDEAN), (1, 5, cv2.MOTION_AFFINE), (0.7, 2.5, cv2.MOTION_AFFINE)):
        bands = (_standard(_band(image, low, high)).astype(np.float32) for image in (one, other))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 15, 1e-3)
        try:
            _, map_ = cv2.findTransformECC(*bands, map_, motion, stop, _DISC.astype(np.uint8), 1)
        except cv2.error:  # it does not converge where the two have nothing in common
            break
        best = max(best, _detail_correlation(one, other, map_))
    return best


def _best_shift(band: NDArray[np.int8], candidates: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return each pair's greatest correlation at a shift of up to a tenth of the side."""
    first, second, orientation = candidates.T[:3]
    side = band.shape[1]
    ones, others = np.empty((len(first), side, side), np.float32), band[second].astype(np.float32)
    for each in np.unique(orientation).tolist():
        ones[orientation == each] = oriented(band[first[orientation == each]], each)
    product = irfft2(rfft2(ones) * rfft2(others).conj(), s=(side, side))
    near = np.r_[0 : side // 10 + 1, side - side // 10 : side]
    norm = np.sqrt(np.square(ones).sum((1, 2)) * np.square(others).sum((1, 2)))
    return product[:, near][:, :, near].max((1, 2)) / np.maximum(norm, 1)


def _detail_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8], map_: NDArray[np.float32]) -> float:
    """Correlate in the disc that hides corners and the dark rim of a lens; 0 where the two overlap too little."""
    flags = cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, map_, (SIDE, SIDE), flags=flags | cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones_like(other), map_, (SIDE, SIDE), flags=flags | cv2.INTER_NEAREST).astype(bool)
    inside &= _DISC
    if inside.sum() < 0.7 * _DISC.sum():
        return 0.0
    pair = [_standard(_band(image, 0, 1.5))[inside] for image in (one, moved)]
    return float(np.corrcoef(*pair)[0, 1]) if min(values.std() for values in pair) > 0 else 0.0


def _band(gray: NDArray[np.uint8], low: float, high: float) -> NDArray[np.float32]:
    """Return what a blur of `low` pixels leaves and one of `high` removes."""
    gray = gray.astype(np.float32)
    return (cv2.GaussianBlur(gray, (0, 0), low) if low else gray) - cv2.GaussianBlur(gray, (0, 0), high)


def _standard(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale to unit deviation in the disc and clip, so that a hair or a ruler does not decide alone."""
    return np.clip(band / (band[_DISC].std() + 1e-3), -3, 3)


def _disc() -> NDArray[np.bool_]:
    across = np.arange(SIDE) - (SIDE - 1) / 2
    return across[:, None] ** 2 + across**2 < (0.46 * SIDE) ** 2


_DISC = _disc()
