"""A damaged image store raises an error with the file and the remedy, and never returns a wrong image."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.config.data import Images
from melanoma.images.shards import shard_rows, write_shard
from melanoma.images.store import ImageStore, merge_shards

SIZE, IMAGES, SHARDS = 24, 9, 3
SETTINGS = Images(size=SIZE, fit="resize")
# Number of single bits that are flipped, in all files of the store together.
FLIPS = int(os.environ.get("FLIPS", "300"))


def build(folder: Path, seed: int) -> Path:
    """Write a store of random images and return its path."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    names = [f"ISIC_{number:02d}" for number in range(IMAGES)]
    for name in names:
        cv2.imwrite(str(folder / f"{name}.png"), random.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    catalog = pd.DataFrame({"image": names, "file": [str(folder / f"{name}.png") for name in names]})
    shards = [folder / "images" / "shards" / f"shard-{number:03d}.h5" for number in range(SHARDS)]
    for number, shard in enumerate(shards):
        part = catalog.iloc[shard_rows(IMAGES, number, SHARDS)]
        write_shard(shard, part, SETTINGS, 1).to_parquet(shard.with_suffix(".parquet"))
    merge_shards(shards, [shard.with_suffix(".parquet") for shard in shards], folder / "images" / "images.h5")
    return folder / "images" / "images.h5"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("store") / "store", seed=1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("other") / "store", seed=2)


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole.parent, tmp_path / "images")
    return tmp_path / "images" / "images.h5"


def cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def halve(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path, other: Path) -> None:
    path.unlink()


def replace_by_text(path: Path, other: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def replace_by_folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def zero_the_start(path: Path, other: Path) -> None:
    path.write_bytes(bytes(64) + path.read_bytes()[64:])


def zero_the_middle(path: Path, other: Path) -> None:
    data, size = path.read_bytes(), path.stat().st_size
    path.write_bytes(data[: size // 3] + bytes(size // 3) + data[size // 3 * 2 :])


def flip_a_pixel(path: Path, other: Path) -> None:
    with h5py.File(path) as file:
        pixels = file["images"][0].tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(pixels) + 100] ^= 1
    path.write_bytes(data)


def change_a_name(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"ISIC_0", b"ISIC_1", 1))


def take_the_other_store_s(path: Path, other: Path) -> None:
    shutil.copy(other.parent / path.relative_to(path.parents[1 if path.parent.name == "shards" else 0]), path)


def take_the_next_shard(path: Path, other: Path) -> None:
    shutil.copy(path.with_name("shard-002.h5"), path)


def edit(change: Callable[[h5py.File], None]) -> Callable[[Path, Path], None]:
    """Return a function that damages a file through HDF5."""

    def damage(path: Path, other: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def without_images(file: h5py.File) -> None:
    del file["images"]


def without_digest(file: h5py.File) -> None:
    del file.attrs["digest"]


def of_floats(file: h5py.File) -> None:
    shape = file["images"].shape
    del file["images"]
    file["images"] = np.zeros(shape, np.float32)


def of_another_size(file: h5py.File) -> None:
    count = len(file["images"])
    del file["images"]
    file["images"] = np.zeros((count, 8, 8, 3), np.uint8)


def with_an_image_less(file: h5py.File) -> None:
    file["images"].resize(len(file["images"]) - 1, axis=0)


def with_a_shard_less(file: h5py.File) -> None:
    for name in ("file", "digest", "images"):
        kept = file[f"shards/{name}"][:-1]
        del file[f"shards/{name}"]
        file[f"shards/{name}"] = kept


def without_shards(file: h5py.File) -> None:
    del file["shards/file"]


OPENING, OF_ANOTHER, DAMAGED = "cannot be opened as HDF5", "not the shard that", "damaged"
SHARD_FAULTS = {
    "missing": (remove, "no such image store"),
    "cut": (cut, OPENING),
    "halved": (halve, OPENING),
    "empty": (empty, OPENING),
    "text": (replace_by_text, OPENING),
    "folder": (replace_by_folder, OPENING),
    "start zeroed": (zero_the_start, OPENING),
    "middle zeroed": (zero_the_middle, DAMAGED),
    "a pixel's bit": (flip_a_pixel, r"image ISIC_03 \(row 3 of the store\) is damaged"),
    "of another store": (take_the_other_store_s, OF_ANOTHER),
    "another shard": (take_the_next_shard, OF_ANOTHER),
    "no images": (edit(without_images), DAMAGED),
    "no digest: never finished": (edit(without_digest), DAMAGED),
    "floats": (edit(of_floats), OF_ANOTHER),
    "another size": (edit(of_another_size), OF_ANOTHER),
    "an image less": (edit(with_an_image_less), OF_ANOTHER),
}
JOINED_FAULTS = {
    "missing": (remove, "no such image store"),
    "cut": (cut, OPENING),
    "empty": (empty, OPENING),
    "text": (replace_by_text, OPENING),
    "start zeroed": (zero_the_start, OPENING),
    "a name": (change_a_name, DAMAGED),
    "of another store": (take_the_other_store_s, OF_ANOTHER),
    "a shard less": (edit(with_a_shard_less), DAMAGED),
    "no list of shards": (edit(without_shards), DAMAGED),
    "no digest": (edit(without_digest), DAMAGED),
}


@pytest.mark.parametrize("fault", SHARD_FAULTS)
def test_a_damaged_shard_is_an_error_with_its_name(store: Path, other: Path, fault: str) -> None:
    shard, (damage, message) = store.parent / "shards" / "shard-001.h5", SHARD_FAULTS[fault]
    damage(shard, other)
    with pytest.raises(InputError, match=rf"(?s){shard}: .*{message}"):
        ImageStore(store).read(range(IMAGES))


@pytest.mark.parametrize("fault", JOINED_FAULTS)
def test_a_damaged_joined_file_is_an_error_with_its_name(store: Path, other: Path, fault: str) -> None:
    damage, message = JOINED_FAULTS[fault]
    damage(store, other)
    with pytest.raises(InputError, match=rf"(?s){store}.*{message}|{message}.*{store}"):
        ImageStore(store).read(range(IMAGES))


def test_a_flipped_bit_anywhere_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    path = build(tmp_path / "store", seed=3)
    sound = ImageStore(path)
    names, pixels, random = sound.names, sound.read(range(IMAGES)), np.random.default_rng(4)
    files = [path, *sorted(path.parent.glob("shards/*.h5"))]
    originals = [file.read_bytes() for file in files]
    found = 0
    for _ in range(FLIPS):
        number = int(random.integers(len(files)))
        damaged = bytearray(originals[number])
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        # A new file, since HDF5 identifies an open file by its inode.
        files[number].unlink()
        files[number].write_bytes(damaged)
        try:
            store = ImageStore(path)
            assert store.names == names and (store.read(range(IMAGES)) == pixels).all()
        except InputError:
            found += 1
        files[number].unlink()
        files[number].write_bytes(originals[number])
    assert found > FLIPS / 4


def outside(kind: str, shard: Path) -> None:
    """Let the images of a shard be in another file, which has the same ones."""
    shutil.copy(shard, shard.with_suffix(".other"))
    with h5py.File(shard, "r+") as file:
        shape = file["images"].shape
        del file["images"]
        if kind == "link":
            file["images"] = h5py.ExternalLink(shard.with_suffix(".other").name, "images")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, np.uint8)
            layout[:] = h5py.VirtualSource(shard.with_suffix(".other"), "images", shape)
            file.create_virtual_dataset("images", layout)
        else:
            file.create_dataset("images", shape, np.uint8, external=str(shard.with_suffix(".other")))


@pytest.mark.parametrize("kind", ["link", "virtual", "external"])
def test_a_shard_whose_images_are_in_another_file_is_refused(store: Path, kind: str) -> None:
    outside(kind, store.parent / "shards" / "shard-000.h5")
    with pytest.raises(InputError, match=r"shard-000\.h5: its images are in another file"):
        ImageStore(store).read([0])
