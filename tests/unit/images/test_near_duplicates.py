"""Copies of every kind are near-duplicates, and images that only look similar are not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.images import near_duplicates
from melanoma.images.near_duplicates import (
    ROWS,
    aligned_correlation,
    candidate_pairs,
    find,
    identical_files,
    orientations,
    oriented,
    shrink,
)
from melanoma.images.quality import perceptual_hash
from real_data import real_data

SIDE = 160


class Memory:
    """An image store in memory."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = np.stack(images)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.images[rows]


def photograph(seed: int, side: int = SIDE) -> np.ndarray:
    """Draw skin with its own texture, a dark blob in the middle and hairs: all images look similar."""
    random = np.random.default_rng(seed)
    texture = sum(
        cv2.resize(
            random.normal(0, 14, (cells, cells, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
        )
        for cells in (6, 20, 50)
    )
    y, x = np.mgrid[:side, :side] / side - 0.5
    center, width = random.uniform(-0.1, 0.1, 2), random.uniform(0.12, 0.25)
    blob = np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * width**2))[..., None]
    skin = np.array([220, 170, 150]) - 90 * blob + texture
    for _ in range(4):
        ends = random.integers(0, side, (2, 2)).tolist()
        cv2.line(skin, ends[0], ends[1], (60, 50, 40), 1, cv2.LINE_AA)
    return skin.clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def shrunk(image: np.ndarray) -> np.ndarray:
    side = len(image)
    return cv2.resize(cv2.resize(image, (side // 2, side // 2), interpolation=cv2.INTER_AREA), (side, side))


def cropped(image: np.ndarray, share: float) -> np.ndarray:
    side = len(image)
    cut = round(share * side)
    return cv2.resize(image[cut : side - cut, cut : side - cut], (side, side), interpolation=cv2.INTER_LINEAR)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    side = len(image)
    map_ = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    return cv2.warpAffine(image, map_, (side, side), borderMode=cv2.BORDER_REFLECT)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "re-encoded at quality 50": lambda image: jpeg(image, 50),
    "re-encoded at quality 20": lambda image: jpeg(image, 20),
    "stored at half the size": shrunk,
    "cropped by 1 % a side": lambda image: cropped(image, 0.01),
    "cropped by 2 % a side": lambda image: cropped(image, 0.02),
    "a fifth brighter": lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8),
    "a third darker": lambda image: (image * 0.7).astype(np.uint8),
    "another gamma": lambda image: (255 * (image / 255) ** 0.8).astype(np.uint8),
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 3 degrees": lambda image: turned(image, 3),
    "shifted by 1.5 %": lambda image: np.roll(image, len(image) * 15 // 1000, axis=1),
    "smaller, brighter and re-encoded": lambda image: jpeg(np.clip(shrunk(image) * 1.1, 0, 255).astype(np.uint8), 40),
}


def hashed(images: list[np.ndarray]) -> np.ndarray:
    return np.array([perceptual_hash(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in images], np.uint64)


def quality_of(images: list[np.ndarray], names: list[str]) -> pd.DataFrame:
    digests = pd.Series([str(hash(image.tobytes())) for image in images], dtype="str")
    table = {"image": pd.Series(names, dtype="str"), "readable": True, "sha256": digests, "phash": hashed(images)}
    return pd.DataFrame(table)


def search(images: list[np.ndarray], names: list[str]) -> pd.DataFrame:
    return find(quality_of(images, names), Memory(images), hash_distance=10, max_difference=0.35, threads=2)


@pytest.fixture(scope="module")
def originals() -> list[np.ndarray]:
    return [photograph(seed) for seed in range(60)]


def test_photographs_of_different_lesions_are_no_near_duplicates(originals: list[np.ndarray]) -> None:
    assert search(originals, [f"ISIC_{k}" for k in range(60)]).empty


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_found_whatever_was_done_to_them(originals: list[np.ndarray], change: str) -> None:
    copies = [np.ascontiguousarray(COPIES[change](image)) for image in originals]
    found = search([*originals, *copies], [f"ISIC_{k}" for k in range(60)] + [f"copy of ISIC_{k}" for k in range(60)])
    assert (found["image_2"] == "copy of " + found["image_1"]).all(), "no two lesions are taken for one"
    assert len(found) >= 60 * 0.85
    assert found["difference"].between(0, 0.35).all() and found["hamming"].between(0, 10).all()


@pytest.mark.real_data
@pytest.mark.parametrize("change", COPIES)
def test_copies_of_real_images_are_found_and_no_look_alikes(change: str, real_images: list[np.ndarray]) -> None:
    count = 100
    copies = [np.ascontiguousarray(COPIES[change](image)) for image in real_images[:count]]
    names = [f"ISIC_{k}" for k in range(len(real_images))]
    found = search([*real_images, *copies], [*names, *(f"copy of {name}" for name in names[:count])])
    is_copy = found["image_2"] == "copy of " + found["image_1"]
    assert is_copy.sum() >= 0.85 * count
    assert (~is_copy).sum() == 0


@pytest.fixture(scope="module")
def real_images() -> list[np.ndarray]:
    """Read every second image of the subset, which excludes the listed pairs."""
    listed = pd.read_csv(real_data("isic2020-tables/ISIC_2020_Training_Duplicates.csv")).stack()
    paths = sorted(real_data("isic2020-subset/jpeg/train").glob("*.jpg"))
    return [cv2.imread(str(path)) for path in paths[::2] if path.stem not in set(listed)]


@pytest.mark.real_data
def test_the_near_duplicates_of_the_real_subset_are_its_listed_pairs() -> None:
    paths = sorted(real_data("isic2020-subset/jpeg/train").glob("*.jpg"))
    listed = pd.read_csv(real_data("isic2020-tables/ISIC_2020_Training_Duplicates.csv"))
    names = [path.stem for path in paths]
    found = search([cv2.imread(str(path)) for path in paths], names)
    expected = listed[listed.isin(names).all(axis=1)].to_numpy().tolist()
    assert {frozenset(pair) for pair in found[["image_1", "image_2"]].to_numpy().tolist()} == set(
        map(frozenset, expected)
    )
    assert len(expected) == 3


def test_files_of_equal_hash_are_pairs_each_with_the_next_and_looked_at_once(originals: list[np.ndarray]) -> None:
    images = [originals[0], originals[1], originals[0], originals[0]]
    found = search(images, ["a", "b", "c", "d"])
    assert found.to_dict("records") == [
        {"image_1": "a", "image_2": "c", "hamming": 0, "difference": 0.0},
        {"image_1": "c", "image_2": "d", "hamming": 0, "difference": 0.0},
    ]
    assert identical_files(quality_of(images[:2], ["a", "b"])).empty


def test_featureless_images_collide_in_their_hash_and_are_not_taken_for_copies() -> None:
    random = np.random.default_rng(0)
    flat = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in range(10, 30)]
    noisy = [np.clip(random.normal(180, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8) for _ in range(20)]
    images = [*flat, *noisy]
    assert search(images, [str(k) for k in range(len(images))]).empty


def test_unreadable_images_have_no_row_in_the_store(originals: list[np.ndarray]) -> None:
    images = [originals[0], originals[1], jpeg(originals[0], 60)]
    quality = quality_of(images, ["a", "b", "c"])
    unreadable = quality.iloc[[1]].assign(image="bad", readable=False, phash=np.uint64(0), sha256=None)
    quality = pd.concat([quality.iloc[:1], unreadable, quality.iloc[1:]], ignore_index=True)
    found = find(quality, Memory(images), 10, 0.35, 1)
    assert found[["image_1", "image_2"]].to_numpy().tolist() == [["a", "c"]]


def candidates(hashes: np.ndarray, hash_distance: int) -> np.ndarray:
    turned = orientations(hashes)
    blocks = (candidate_pairs(hashes, turned, start, hash_distance) for start in range(0, len(hashes), ROWS))
    return np.concatenate([np.empty((0, 4)), *(tile for block in blocks for tile in block)])


hash_lists = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30)


@given(values=hash_lists, flips=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 2**10 - 1)), max_size=20))
def test_the_candidates_are_those_of_brute_force(values: list[int], flips: list[tuple[int, int]]) -> None:
    values = values + [values[at % len(values)] ^ (bits << at) & (2**64 - 1) for at, bits in flips]
    hashes = np.array(values, np.uint64)
    turned = orientations(hashes)
    expected = {
        (i, j, o): distance
        for i in range(len(values))
        for j in range(i + 1, len(values))
        for o in range(8)
        if (distance := (int(turned[o, i]) ^ values[j]).bit_count()) <= 10
    }
    found = candidates(hashes, 10).tolist()
    assert {(first, second, o): distance for first, second, o, distance in found} == expected
    assert len(found) == len(expected)


def test_candidates_are_the_same_over_tile_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 300, np.uint64) & np.uint64(0xFFFF)
    whole = candidates(hashes, 6)
    monkeypatch.setattr(near_duplicates, "TILE", 7)
    tiled = candidates(hashes, 6)
    assert len(whole) > 100
    assert sorted(whole.tolist()) == sorted(tiled.tolist())


@pytest.mark.parametrize("orientation", range(8))
def test_the_hash_of_a_turned_image_is_nearly_the_turned_hash(originals: list[np.ndarray], orientation: int) -> None:
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in originals]
    expected = np.array([perceptual_hash(oriented(image, orientation)) for image in gray], np.uint64)
    found = orientations(np.array([perceptual_hash(image) for image in gray], np.uint64))[orientation]
    distance = np.bitwise_count(expected ^ found)
    assert np.median(distance) <= 6 and (distance <= 10).mean() > 0.85


def test_the_number_of_threads_changes_nothing(originals: list[np.ndarray]) -> None:
    images = [*originals, *(jpeg(image, 30) for image in originals)]
    quality = quality_of(images, [str(k) for k in range(len(images))])
    one, three = (find(quality, Memory(images), 10, 0.35, threads) for threads in (1, 3))
    pd.testing.assert_frame_equal(one, three)


def test_two_small_images_with_nothing_in_common_do_not_correlate(originals: list[np.ndarray]) -> None:
    small = shrink(Memory(originals), np.arange(60)).gray
    assert max(aligned_correlation(small[k], small[k + 1]) for k in range(0, 60, 2)) < 0.5
    assert aligned_correlation(small[0], small[0]) == pytest.approx(1)


def test_a_store_of_small_images_is_searched_too() -> None:
    images = [photograph(seed, 32) for seed in range(40)]
    found = search([*images, *(jpeg(image, 80) for image in images)], [str(k) for k in range(80)])
    assert {(int(a) + 40, int(b)) for a, b in found[["image_1", "image_2"]].to_numpy()} <= {
        (k, k) for k in range(40, 80)
    }


def test_the_script_writes_pairs_as_the_split_reads_them(tmp_path: Path, originals: list[np.ndarray]) -> None:
    from melanoma.split.assign import read_pairs

    path = tmp_path / "near.csv"
    search([originals[0], jpeg(originals[0], 60)], ["a", "b"]).to_csv(path, index=False)
    assert read_pairs(path).to_numpy().tolist() == [["a", "b"]]
    search(originals[:2], ["a", "b"]).to_csv(path, index=False)
    assert read_pairs(path).empty
