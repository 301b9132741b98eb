"""The image store reads the right images of all shards."""

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.images.shards import write_shard
from melanoma.images.store import ImageStore, merge_shards
from small_store import SETTINGS, SIZE, build, catalog


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return build(folder, catalog(folder), shards=4)


@pytest.fixture(scope="module")
def pixels(built: Path) -> np.ndarray:
    """All images by the virtual data set of HDF5, from a copy: a file must not be open in two ways."""
    copy = built.parent.parent / "copy"
    shutil.copytree(built.parent, copy)
    with h5py.File(copy / "images.h5") as file:
        return file["images"][:]


@pytest.fixture
def own(built: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be damaged."""
    shutil.copytree(built.parent, tmp_path / "images")
    return tmp_path / "images" / "images.h5"


def test_the_store_holds_every_readable_image_in_the_order_of_the_catalog(built: Path, pixels: np.ndarray) -> None:
    store = ImageStore(built)
    quality = pd.read_parquet(built.with_name("quality.parquet"))
    assert len(quality) == 11 and quality.loc[~quality["readable"], "image"].tolist() == ["ISIC_04"]
    assert store.names == quality.loc[quality["readable"], "image"].tolist()
    assert len(store) == 10 and store.size == SIZE and pixels.shape == (10, SIZE, SIZE, 3)
    for row, path in enumerate(quality.loc[quality["readable"], "file"]):
        assert (pixels[row] == cv2.imread(path)[..., ::-1]).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 9), max_size=30))
def test_rows_come_in_the_order_asked_repeats_included(built: Path, pixels: np.ndarray, rows: list[int]) -> None:
    assert (ImageStore(built).read(rows) == pixels[rows]).all()


def test_the_buffer_given_is_filled_and_returned(built: Path, pixels: np.ndarray) -> None:
    out = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    assert ImageStore(built).read([7, 0, 9], out) is out
    assert (out == pixels[[7, 0, 9]]).all()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((2, SIZE, SIZE, 3), np.uint8),
        np.zeros((1, SIZE, SIZE, 3), np.float32),
        np.zeros((1, SIZE, 3, SIZE), np.uint8).transpose(0, 1, 3, 2),
    ],
)
def test_a_buffer_that_does_not_fit_is_refused(built: Path, out: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected C-contiguous uint8"):
        ImageStore(built).read([0], out)


@pytest.mark.parametrize("row", [-1, 10])
def test_a_row_that_is_not_there_is_refused(built: Path, row: int) -> None:
    with pytest.raises(IndexError, match="expected 0 to 9"):
        ImageStore(built).read([row])


def test_a_shard_can_be_read_alone(built: Path, pixels: np.ndarray) -> None:
    store = ImageStore(built.parent / "shards" / "shard-000.h5")
    assert (store.read([0, 1]) == pixels[:2]).all()


def read_in_worker(store: ImageStore, rows: list[int]) -> np.ndarray:
    return store.read(rows)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_store_that_was_read_from_can_be_used_in_workers(built: Path, pixels: np.ndarray, method: str) -> None:
    store = ImageStore(built)
    store.read([3])
    rows = [[k, 9 - k] for k in range(10)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        found = list(pool.map(read_in_worker, [store] * 10, rows))
    assert all((images == pixels[wanted]).all() for images, wanted in zip(found, rows, strict=True))
    assert (store.read([3]) == pixels[[3]]).all()


STORE: list[ImageStore] = []


def read_inherited(rows: list[int]) -> np.ndarray:
    return STORE[0].read(rows)


def test_a_store_inherited_through_a_fork_opens_its_own_handles(built: Path, pixels: np.ndarray) -> None:
    STORE[:] = [ImageStore(built)]
    rows = [[k, 9 - k] for k in range(10)]
    with ProcessPoolExecutor(3, multiprocessing.get_context("fork")) as pool:
        found = list(pool.map(read_inherited, rows))
    assert all((images == pixels[wanted]).all() for images, wanted in zip(found, rows, strict=True))


def test_a_pickled_store_holds_no_open_file(built: Path) -> None:
    store = ImageStore(built)
    assert pickle.loads(pickle.dumps(store)).names == store.names


def test_the_results_can_be_moved_as_a_whole(own: Path, pixels: np.ndarray) -> None:
    moved = own.parent.rename(own.parent.with_name("moved")) / "images.h5"
    assert (ImageStore(moved).read(range(10)) == pixels).all()


def test_the_digest_depends_on_the_images_alone(tmp_path: Path) -> None:
    table = catalog(tmp_path)
    digests = [ImageStore(build(tmp_path / folder, table, 3)).digest for folder in ("a", "b")]
    assert digests[0] == digests[1]
    assert ImageStore(build(tmp_path / "c", table.iloc[::-1], 3)).digest != digests[0]


def test_more_shards_than_images_are_no_fault(tmp_path: Path) -> None:
    store = ImageStore(build(tmp_path, catalog(tmp_path, 3), shards=8))
    assert len(store) == 3 and store.read([2, 1, 0]).any(axis=(1, 2, 3)).all()


def test_shards_that_do_not_belong_together_are_not_merged(own: Path, tmp_path: Path) -> None:
    shards = sorted((own.parent / "shards").glob("*.h5"))
    qualities = [shard.with_suffix(".parquet") for shard in shards]
    with pytest.raises(InputError, match="do not hold the images of the quality tables"):
        merge_shards(shards, qualities[::-1], tmp_path / "images.h5")
    write_shard(shards[0], catalog(tmp_path, 2), SETTINGS.model_copy(update={"size": 8}), 1)
    with pytest.raises(InputError, match="the shards have different preparations"):
        merge_shards(shards, qualities, tmp_path / "images.h5")
    assert not (tmp_path / "images.h5").exists()


def test_no_image_at_all_is_an_error(tmp_path: Path) -> None:
    table = catalog(tmp_path).iloc[4:5]
    with pytest.raises(InputError, match="no image could be read"):
        build(tmp_path, table, 1)


def test_few_shards_are_open_at_a_time_however_many_there_are(tmp_path: Path) -> None:
    table = catalog(tmp_path, 40)
    path = build(tmp_path, table, shards=40)
    store, all_open = ImageStore(path, open_shards=3), ImageStore(path)
    rows = np.random.default_rng(0).integers(0, len(store), 200)
    assert (store.read(rows) == all_open.read(rows)).all()
    del all_open
    held = [str(link.resolve()) for link in Path("/proc/self/fd").iterdir()]
    assert sum(str(tmp_path) in name for name in held) == 3


@pytest.mark.large
def test_thousands_of_shards_are_joined(tmp_path: Path) -> None:
    """The list of so many shards is larger than the 64 kB that an HDF5 attribute can hold."""
    first = build(tmp_path, catalog(tmp_path, 1), shards=1).parent / "shards" / "shard-000.h5"
    shards, qualities = [], []
    for number in range(1100):
        shards.append(tmp_path / "many" / f"a-rather-long-name-of-a-shard-so-that-it-counts-{number:04d}.h5")
        qualities.append(shards[-1].with_suffix(".parquet"))
        shards[-1].parent.mkdir(exist_ok=True)
        shutil.copy(first, shards[-1])
        with h5py.File(shards[-1], "r+") as file:
            file["image"][0] = f"I_{number:05d}".encode()
        pd.DataFrame({"image": [f"I_{number:05d}"], "readable": [True]}).to_parquet(qualities[-1])
    merge_shards(shards, qualities, tmp_path / "many.h5")
    store = ImageStore(tmp_path / "many.h5")
    assert len(store) == 1100 and store.read([1099, 0]).shape == (2, SIZE, SIZE, 3)
