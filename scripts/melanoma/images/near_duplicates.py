"""Near-duplicates: images of one photograph. A perceptual hash finds candidates, and their pixels confirm them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import pandas as pd
from cv2.typing import MatLike
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from melanoma.common.cli import progress
from melanoma.images.store import ImageStore

Pixel = TypeVar("Pixel", np.uint8, np.int8)
CANDIDATE = ["first", "second", "orientation", "hamming"]
COLUMNS = {"image_1": "str", "image_2": "str", "hamming": "int64", "difference": "float64"}
SIDE = 64  # of the small gray versions
# Stride of the pixels that are compared, and the least correlation at the best shift. Of real images, 1 % of the
# candidates that are unrelated pass both steps, and 98 % of the copies that are cropped by 2 % at each side.
STEPS = ((2, 0.75), (1, 0.9))
ALIKE = 0.95  # correlation above which no better alignment is searched
FLAT = 0.5  # gray levels; an image with less detail is featureless, and its pixels cannot confirm anything
TRANSPOSED, ROWS_FLIPPED, COLUMNS_FLIPPED = 4, 2, 1  # an orientation is a sum of these flags
ROWS, TILE, PAIRS = 32, 8192, 128  # hashes and pairs at a time, which fit in the cache and bound the memory


class Small(NamedTuple):
    """Small gray images `gray`, uint8 (n, SIDE, SIDE); their windowed detail `band`, int8; `flat`, bool (n,)."""

    gray: NDArray[np.uint8]
    band: NDArray[np.int8]
    flat: NDArray[np.bool_]


def find(
    quality: pd.DataFrame, store: ImageStore, hash_distance: int, max_difference: float, threads: int
) -> pd.DataFrame:
    """Return all pairs of near-duplicates: image_1, image_2, hamming (bits), difference (0 equal to 1 unrelated).

    `quality` is the quality table of all images; its readable rows are the rows of `store`. Two files with the same
    SHA-256 are a pair; of several such files, each is a pair with the next one. For other pairs, the perceptual hashes
    differ by at most `hash_distance` bits in one of the eight orientations, and the fine detail of the aligned images
    by at most `max_difference` (1 - correlation).
    """
    stored = quality[quality["readable"]]
    same = identical_files(stored)
    rows = np.flatnonzero(~stored["sha256"].duplicated())
    small = shrink(store, rows)
    rows, small = rows[~small.flat], Small(small.gray[~small.flat], small.band[~small.flat], small.flat[~small.flat])
    hashes = stored["phash"].to_numpy(np.uint64)[rows]
    pairs = confirmed(hashes, small, hash_distance, max_difference, threads)
    names = stored["image"].to_numpy()[rows]
    near = pairs.assign(image_1=names[pairs["first"]], image_2=names[pairs["second"]])[list(COLUMNS)]
    return pd.concat([same, near.astype(COLUMNS)], ignore_index=True)


def identical_files(quality: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of files with the same SHA-256: each file with the next one."""
    following = quality.groupby("sha256")["image"].shift(-1)
    pairs = pd.DataFrame({"image_1": quality["image"], "image_2": following, "hamming": 0, "difference": 0.0})
    return pairs.dropna(subset="image_2").astype(COLUMNS).reset_index(drop=True)


def shrink(store: ImageStore, rows: NDArray[np.integer]) -> Small:
    """Return small gray versions of the images in `rows` of the store, which are read in blocks."""
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
    """Return the confirmed pairs, sorted: positions first < second, orientation, hamming and difference."""
    cv2.setNumThreads(1)
    turned = orientations(hashes)

    def compare(start: int) -> list[NDArray[np.float64]]:
        pairs = []
        for candidates in candidate_pairs(hashes, turned, start, hash_distance):
            for batch in np.array_split(candidates, -(-len(candidates) // PAIRS)):
                difference = differences(small, batch)
                alike = difference <= max_difference
                pairs.append(np.column_stack([batch[alike], difference[alike]]))
        return pairs

    starts = range(0, len(hashes), ROWS)
    with ThreadPoolExecutor(threads) as pool:
        blocks = progress(pool.map(compare, starts), f"comparing blocks of {ROWS} images", total=len(starts))
        parts = [part for block in blocks for part in block]
    pairs = pd.DataFrame(np.concatenate([np.empty((0, 5)), *parts]), columns=[*CANDIDATE, "difference"])
    pairs = pairs.astype(dict.fromkeys(CANDIDATE, "int64")).sort_values(["first", "second", "difference"])
    return pairs.drop_duplicates(["first", "second"], ignore_index=True)


def candidate_pairs(
    hashes: NDArray[np.uint64], turned: NDArray[np.uint64], start: int, hash_distance: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the candidates among ROWS hashes from `start` on and all later hashes, by tile; the columns are CANDIDATE.

    Every pair is compared. The time is quadratic, 2 ns for each pair and orientation. An index of parts of the hashes
    would be faster only for small distances.
    """
    for left in range(start, len(hashes), TILE):
        others = hashes[left : left + TILE]
        parts = []
        for orientation, rows in enumerate(turned[:, start : start + ROWS]):
            distance = np.bitwise_count(rows[:, None] ^ others)
            row, column = np.divmod(np.flatnonzero(distance <= hash_distance), len(others))
            first, second, hamming = row + start, column + left, distance[row, column]
            parts.append(np.stack([first, second, np.full(len(row), orientation), hamming])[:, first < second])
        candidates = np.concatenate(parts, axis=1).T
        if len(candidates):
            yield candidates


def orientations(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes of the images in the eight orientations, (8, n); a few bits may be wrong.

    The bits belong to 8 x 8 cosine coefficients, row by row, the most significant bit first. A flip changes the sign of
    every other coefficient, and so its bit. Transposing an image transposes its coefficients. The result is not exact:
    a bit compares a coefficient with the median, which is only about 0.
    """
    bits = np.unpackbits(hashes.astype(">u8")[:, None].view(np.uint8), axis=1).reshape(-1, 8, 8)
    odd = np.arange(8) % 2
    turned = []
    for orientation in range(8):
        flips = odd[:, None] * bool(orientation & ROWS_FLIPPED) ^ odd * bool(orientation & COLUMNS_FLIPPED)
        flipped = (bits.transpose(0, 2, 1) if orientation & TRANSPOSED else bits) ^ flips
        packed = np.packbits(flipped.astype(np.uint8).reshape(-1, 64), axis=1)
        turned.append(packed.view(">u8")[:, 0].astype(np.uint64))
    return np.stack(turned)


def differences(small: Small, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 - the correlation of the aligned detail of each candidate pair, in [0, 1].

    Two fast steps compare the pairs at every small shift. Only the pairs that pass them are aligned, one by one; the
    others have the difference 1.
    """
    difference = np.ones(len(candidates))
    left = np.arange(len(candidates))
    for stride, least in STEPS:
        left = left[_best_shift(small.band[:, ::stride, ::stride], candidates[left]) >= least]
    for at in left:
        first, second, orientation, _ = candidates[at].tolist()
        one = oriented(small.gray[first], orientation)
        difference[at] = 1 - max(aligned_correlation(one, small.gray[second]), 0.0)
    return difference


def oriented(images: NDArray[Pixel], orientation: int) -> NDArray[Pixel]:
    """Return images (..., s, s) in one of the eight orientations: transpose, then flip rows, then flip columns."""
    if orientation & TRANSPOSED:
        images = images.swapaxes(-1, -2)
    if orientation & ROWS_FLIPPED:
        images = images[..., ::-1, :]
    if orientation & COLUMNS_FLIPPED:
        images = images[..., ::-1]
    return np.ascontiguousarray(images)


def aligned_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the best correlation of the fine detail of two small gray images, over affine maps between them."""
    affine: MatLike = np.eye(2, 3, dtype=np.float32)
    best = _detail_correlation(one, other, affine)
    if best > ALIKE:
        return best
    for low, high, motion in ((1, 5, cv2.MOTION_EUCLIDEAN), (1, 5, cv2.MOTION_AFFINE), (0.7, 2.5, cv2.MOTION_AFFINE)):
        target, moving = (_standard(_band(image, low, high)).astype(np.float32) for image in (one, other))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 15, 1e-3)
        try:
            _, affine = cv2.findTransformECC(target, moving, affine, motion, stop, _DISC.astype(np.uint8), 1)
        except cv2.error:  # no convergence: the two have nothing in common
            break
        best = max(best, _detail_correlation(one, other, affine))
    return best


def _best_shift(band: NDArray[np.int8], candidates: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the largest correlation of each pair over the shifts by up to a tenth of the side."""
    first, second, orientation = candidates.T[:3]
    side = band.shape[1]
    ones, others = np.empty((len(first), side, side), np.float32), band[second].astype(np.float32)
    for each in np.unique(orientation).tolist():
        ones[orientation == each] = oriented(band[first[orientation == each]], each)
    product = irfft2(rfft2(ones) * rfft2(others).conj(), s=(side, side))
    near = np.r_[0 : side // 10 + 1, side - side // 10 : side]
    norm = np.sqrt(np.square(ones).sum((1, 2)) * np.square(others).sum((1, 2)))
    best: NDArray[np.float32] = product[:, near][:, :, near].max((1, 2)) / np.maximum(norm, 1)
    return best


def _detail_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8], affine: MatLike) -> float:
    """Correlate inside the disc, without corners and the dark rim of a lens; 0 if the overlap is too small."""
    flags = cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(other, affine, (SIDE, SIDE), flags=flags | cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones_like(other), affine, (SIDE, SIDE), flags=flags | cv2.INTER_NEAREST).astype(bool)
    inside &= _DISC
    if inside.sum() < 0.7 * _DISC.sum():
        return 0.0
    pair = [_standard(_band(image, 0, 1.5))[inside] for image in (one, moved)]
    return float(np.corrcoef(*pair)[0, 1]) if min(values.std() for values in pair) > 0 else 0.0


def _band(gray: MatLike, low: float, high: float) -> NDArray[np.float32]:
    """Return the detail between two scales: blurred with a deviation of `low` pixels, minus blurred with `high`."""
    pixels = gray.astype(np.float32)
    fine = cv2.GaussianBlur(pixels, (0, 0), low) if low else pixels
    return np.asarray(fine - cv2.GaussianBlur(pixels, (0, 0), high), np.float32)


def _standard(band: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale to unit deviation in the disc, and clip: a hair or a ruler must not decide alone."""
    return np.asarray(np.clip(band / (band[_DISC].std() + 1e-3), -3, 3))


def _disc() -> NDArray[np.bool_]:
    across = np.arange(SIDE) - (SIDE - 1) / 2
    return np.less(across[:, None] ** 2 + across**2, (0.46 * SIDE) ** 2)


_DISC = _disc()
