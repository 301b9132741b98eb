"""Copies of every kind are near-duplicates, and images that only look similar are not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import find_near_duplicates as script
from melanoma.common.cli import run
from melanoma.common.files import sha256
from melanoma.images.near_duplicates import DOUBTED, MERGED, chance_pairs, find
from melanoma.images.pair_sheet import draw_pairs
from melanoma.images.thumbnails import SIDE as LONG_SIDE
from melanoma.images.thumbnails import Thumbnail, read_thumbnails, shrink
from melanoma.split.assign import read_pairs
from real_data import real_data

SIDE = 320


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


def cropped_off_center(image: np.ndarray, share: float) -> np.ndarray:
    cut = round(share * len(image))
    return image[cut:, : len(image) - cut]


def recolored(image: np.ndarray) -> np.ndarray:
    return np.clip(image * np.array([0.8, 1.1, 1.2]) + 15, 0, 255).astype(np.uint8)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    side = len(image)
    map_ = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    return cv2.warpAffine(image, map_, (side, side), borderMode=cv2.BORDER_REFLECT)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "re-encoded at quality 50": lambda image: jpeg(image, 50),
    "re-encoded at quality 20": lambda image: jpeg(image, 20),
    "stored at half the size": shrunk,
    "cropped by 1 % a side": lambda image: cropped(image, 0.01),
    "cropped by 5 % a side": lambda image: cropped(image, 0.05),
    "cropped by 8 % at two sides": lambda image: cropped_off_center(image, 0.08),
    "stored at a third of the size": lambda image: cv2.resize(image, None, fx=1 / 3, fy=1 / 3, interpolation=3),
    "of other colors": recolored,
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


def thumbnail(image: np.ndarray) -> Thumbnail:
    return Thumbnail(shrink(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)), sha256(image.tobytes()))


def search(images: dict[str, np.ndarray], threads: int = 2) -> pd.DataFrame:
    return find(list(images), [thumbnail(np.ascontiguousarray(image)) for image in images.values()], threads)


def named_pairs(pairs: pd.DataFrame) -> set[tuple[str, str]]:
    return set(pairs[["image_a", "image_b"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def originals() -> dict[str, np.ndarray]:
    return {f"ISIC_{seed:02d}": photograph(seed) for seed in range(40)}


def test_photographs_of_different_lesions_are_no_near_duplicates(originals: dict[str, np.ndarray]) -> None:
    assert search(originals).empty


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_merged_whatever_was_done_to_them(originals: dict[str, np.ndarray], change: str) -> None:
    copies = {f"copy of {name}": COPIES[change](image) for name, image in originals.items()}
    found = search(originals | copies)
    assert named_pairs(found) == {(name, f"copy of {name}") for name in originals}
    assert (found["verdict"] == "merged").all() and (found["chance_pairs"] < 0.1).all()


@pytest.mark.large
@pytest.mark.real_data
def test_the_near_duplicates_of_the_real_subset_are_its_listed_pairs() -> None:
    paths = sorted(real_data("isic2020-subset/jpeg/train").glob("*.jpg"))
    names = [path.stem for path in paths]
    listed = pd.read_csv(real_data("isic2020-tables/ISIC_2020_Training_Duplicates.csv"))
    expected = listed[listed.isin(names).all(axis=1)].to_numpy().tolist()
    found = find(names, read_thumbnails(paths, 10**8, 2), 2)
    assert named_pairs(found) == {(min(pair), max(pair)) for pair in expected}
    assert len(found) == 3


@pytest.mark.real_data
def test_known_pairs_are_merged_and_look_alikes_are_not() -> None:
    folder = real_data("../cases/pairs")
    known = pd.read_csv(folder / "pairs.csv")
    names = sorted({*known["image_1"], *known["image_2"]})
    found = named_pairs(find(names, read_thumbnails([folder / f"jpeg/{name}.jpg" for name in names], 10**8, 2), 2))
    pairs = known[["image_1", "image_2"]].apply(lambda pair: tuple(sorted(pair)), axis=1)
    assert pairs.isin(found).equals(known["same_photograph"] != "no")


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(12)), renamed=st.permutations(range(12)))
def test_neither_order_nor_names_change_what_is_detected(order: list[int], renamed: list[int]) -> None:
    seen = photograph(0), photograph(1)
    images = [*(photograph(seed) for seed in range(9)), seen[0][::-1], jpeg(seen[0], 40), shrunk(seen[1])]

    def figures(order: list[int], names: list[int]) -> dict[frozenset[int], float]:
        found = search({str(names[at]): images[at] for at in order})
        number = {str(name): at for at, name in enumerate(names)}
        return {
            frozenset(map(number.get, pair[:2])): pair[2]
            for pair in found[["image_a", "image_b", "correlation"]].to_numpy()
        }

    assert figures(order, renamed) == figures(list(range(12)), list(range(12)))


def test_a_pair_has_the_same_figures_in_any_company(originals: dict[str, np.ndarray]) -> None:
    pair = {"a": originals["ISIC_00"], "b": jpeg(originals["ISIC_00"][:, ::-1], 30)}
    alone, among = search(pair), search({name: originals[name] for name in list(originals)[1:]} | pair)
    assert alone["correlation"].item() == among["correlation"].item()


def test_identical_files_are_pairs_each_with_the_next_and_compared_once(originals: dict[str, np.ndarray]) -> None:
    one, other = originals["ISIC_00"], originals["ISIC_01"]
    found = search({"d": one, "b": other, "a": one, "c": one, "e": jpeg(one, 60)})
    assert named_pairs(found[found["correlation"] == 1]) == {("a", "c"), ("c", "d")}
    assert named_pairs(found) == {("a", "c"), ("c", "d"), ("a", "e")}


def test_images_without_structure_link_nobody() -> None:
    random = np.random.default_rng(0)
    images = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in range(0, 100, 10)]
    images += [jpeg(np.full((SIDE, SIDE * 3 // 2, 3), level, np.uint8), 30) for level in range(5, 100, 10)]
    images += [np.full((1, 1, 3), level, np.uint8) for level in range(3)]
    images += [
        np.repeat(np.linspace(0, level, SIDE).astype(np.uint8)[:, None, None], SIDE, 1).repeat(3, 2)
        for level in (200, 250)
    ]
    images += [np.clip(random.normal(180, 3, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    assert search({str(at): image for at, image in enumerate(images)}).empty


def test_a_frame_or_the_rim_of_a_lens_alone_is_no_near_duplicate(originals: dict[str, np.ndarray]) -> None:
    rim = np.zeros((SIDE, SIDE, 1), np.uint8)
    cv2.circle(rim, (SIDE // 2, SIDE // 2), SIDE // 2, 1, -1)
    framed = {name: image * rim for name, image in originals.items()}
    assert search(framed).empty


def test_the_expected_pairs_grow_with_the_images_and_fall_with_the_correlation() -> None:
    assert chance_pairs(MERGED, 33_126) < 5
    assert chance_pairs(MERGED, 331_260) == pytest.approx(100 * chance_pairs(MERGED, 33_126), rel=1e-3)
    assert chance_pairs(DOUBTED, 1000) > chance_pairs(MERGED, 1000)


def test_the_script_reads_the_files_and_writes_pairs_as_the_split_reads_them(
    tmp_path: Path, originals: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ISIC_00", "ISIC_01"):
        cv2.imwrite(f"{name}.jpg", originals[name])
    cv2.imwrite("mirrored.png", originals["ISIC_01"][:, ::-1])
    Path("broken.jpg").write_bytes(b"nothing")
    files = ["ISIC_00.jpg", "broken.jpg", "mirrored.png", "missing.jpg", "ISIC_01.jpg"]
    catalog = pd.DataFrame({"image": [Path(file).stem for file in files], "file": files}, dtype="str")
    catalog.to_parquet("catalog.parquet")
    monkeypatch.setattr(
        "sys.argv", ["find", "--catalog", "catalog.parquet", "--output", "near.csv", "--sheet", "near.png"]
    )
    run(script.describe, script.main, "")
    assert read_pairs("near.csv").to_numpy().tolist() == [["ISIC_01", "mirrored"]]
    assert cv2.imread("near.png") is not None


def test_the_sheet_shows_doubted_pairs_first_and_says_that_there_are_none(originals: dict[str, np.ndarray]) -> None:
    gray = {name: thumbnail(image).gray for name, image in originals.items()}
    pairs = pd.DataFrame(
        [("ISIC_00", "ISIC_01", "merged", 0.9), ("ISIC_02", "ISIC_03", "doubted", 0.5)],
        columns=["image_a", "image_b", "verdict", "correlation"],
    )
    sheet = draw_pairs(pairs, gray)
    assert (sheet[24 : 24 + LONG_SIDE, :LONG_SIDE] == gray["ISIC_02"]).all()
    assert draw_pairs(pairs.iloc[:0], gray).shape == (sheet.shape[0], sheet.shape[1])


def test_a_thumbnail_is_upright_gray_and_has_one_long_side(tmp_path: Path) -> None:
    image = photograph(3, 1000)[:750]
    cv2.imwrite(str(tmp_path / "image.png"), image)
    found, none = read_thumbnails([tmp_path / "image.png", tmp_path], 10**8, 1)
    assert none is None and found is not None
    assert found.gray.shape == (LONG_SIDE * 3 // 4, LONG_SIDE) and found.gray.dtype == np.uint8
