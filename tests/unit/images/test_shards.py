"""A shard has the right pixels of every complete image file, and nothing of other files."""

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.common.errors import InputError
from melanoma.config.data import Images
from melanoma.images.header import Unreadable
from melanoma.images.quality import measure
from melanoma.images.shards import prepare_file, shard_rows, write_shard
from pictures import decode, encode, header_size, jpeg_with, smooth
from project import SCRIPTS
from real_data import real_data

SETTINGS = Images(size=32)


def area_mean(pixels: np.ndarray, factor: int) -> np.ndarray:
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    return pixels.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))


def files(folder: Path, contents: dict[str, bytes]) -> pd.DataFrame:
    """Write files and return their catalog."""
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return pd.DataFrame({"image": list(contents), "file": [str(folder / f"{name}.jpg") for name in contents]})


@given(
    size=st.integers(4, 24),
    factor=st.integers(1, 5),
    wider=st.integers(0, 40),
    portrait=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_center_crop_is_the_area_mean_of_the_largest_centered_square(
    size: int, factor: int, wider: int, portrait: bool, seed: int
) -> None:
    side = size * factor
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + wider, 3), np.uint8)
    square = pixels[:, wider // 2 : wider // 2 + side]
    if portrait:
        pixels, square = pixels.transpose(1, 0, 2), square.transpose(1, 0, 2)
    found = decode(encode(pixels, ".png"), size, "center_crop")
    assert np.abs(found - area_mean(square, factor)).max() <= 0.5 + 1e-6


@given(size=st.integers(4, 24), down=st.integers(1, 4), across=st.integers(1, 4), seed=st.integers(0, 99))
def test_resize_squeezes_the_whole_image(size: int, down: int, across: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size * down, size * across, 3), np.uint8)
    wanted = pixels.reshape(size, down, size, across, 3).mean(axis=(1, 3))
    assert np.abs(decode(encode(pixels, ".png"), size, "resize") - wanted).max() <= 0.5 + 1e-6


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 64),
    fit=st.sampled_from(["center_crop", "resize"]),
)
def test_any_image_becomes_a_square_of_the_asked_size(width: int, height: int, size: int, fit: str) -> None:
    pixels = np.full((height, width, 3), (200, 100, 50), np.uint8)
    square = decode(encode(pixels), size, fit)
    assert square.shape == (size, size, 3) and square.dtype == np.uint8 and square.flags.c_contiguous
    assert np.abs(square.astype(int) - (200, 100, 50)).max() <= 3


def test_colors_are_red_green_blue() -> None:
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    assert decode(encode(red), 8, "resize").mean(axis=(0, 1)).round(-1).tolist() == [250, 0, 0]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_gray_and_cmyk_become_rgb(mode: str) -> None:
    pixels = np.full((64, 64, 3), 90, np.uint8)
    assert np.abs(decode(jpeg_with(pixels, mode=mode), 8, "resize").astype(int) - 90).max() <= 3


@pytest.mark.parametrize(("width", "height"), [(1872, 1053), (1053, 1872), (1025, 1031), (4097, 3000)])
@pytest.mark.parametrize("fit", ["center_crop", "resize"])
def test_a_reduced_decode_is_the_full_one_within_a_gray_level_and_a_half(width: int, height: int, fit: str) -> None:
    data = encode(smooth(width, height))
    reduced = decode(data, 128, fit)
    full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    if fit == "center_crop":
        side = min(width, height)
        full = full[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
    wanted = cv2.resize(np.ascontiguousarray(full), (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - wanted).mean() <= 1.5


def test_the_size_is_the_header_s_in_baseline_and_progressive_jpegs_and_pngs() -> None:
    pixels = smooth(123, 77)
    for data in (jpeg_with(pixels), jpeg_with(pixels, progressive=True), encode(pixels, ".png")):
        assert header_size(data) == (123, 77)


WHOLE = encode(smooth(300, 200))


def test_a_missing_file_is_unreadable_with_a_reason(tmp_path: Path) -> None:
    assert prepare_file(tmp_path / "no.jpg", SETTINGS).problem == "cannot be opened: No such file or directory"


@given(cut=st.integers(1, len(WHOLE) - 1))
def test_no_beginning_of_a_jpeg_is_taken_for_an_image(cut: int) -> None:
    with pytest.raises(Unreadable):
        decode(WHOLE[:cut], 32, "resize")


@given(images=st.integers(0, 500), shards=st.integers(1, 40))
def test_shards_cover_every_row_once_in_order(images: int, shards: int) -> None:
    ranges = [shard_rows(images, shard, shards) for shard in range(shards)]
    assert [row for rows in ranges for row in range(images)[rows]] == list(range(images))
    sizes = [rows.stop - rows.start for rows in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="shard 8: expected a number from 0 to 7"):
        shard_rows(100, 8, 8)


def test_a_shard_holds_the_prepared_images_in_the_order_of_the_catalog(tmp_path: Path) -> None:
    catalog = files(tmp_path, {f"i{k}": encode(smooth(90 + k, 60, seed=k)) for k in range(7)})
    quality = write_shard(tmp_path / "shard.h5", catalog, SETTINGS, threads=3)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file["image"].asstr()[:].tolist() == catalog["image"].tolist()
        assert file["images"].chunks == (1, 32, 32, 3) and file["images"].fletcher32
        assert dict(file.attrs).keys() == {"size", "fit", "crop_border", "color_constancy", "color", "digest"}
        for row, path in enumerate(catalog["file"]):
            assert (file["images"][row] == decode(Path(path).read_bytes(), 32, "center_crop")).all()
    assert quality["readable"].all() and quality["problem"].isna().all()
    assert quality["width"].tolist() == [90 + k for k in range(7)]
    assert quality["bytes"].tolist() == [Path(path).stat().st_size for path in catalog["file"]]


def test_the_file_is_the_same_in_every_byte_with_any_number_of_threads(tmp_path: Path) -> None:
    catalog = files(tmp_path, {f"i{k}": encode(smooth(200, 150, seed=k)) for k in range(9)})
    written = []
    for threads in (1, 2, 5):
        write_shard(tmp_path / "shard.h5", catalog, SETTINGS, threads)
        written.append((tmp_path / "shard.h5").read_bytes())
    assert written[0] == written[1] == written[2]


def test_the_digest_tells_images_names_and_sizes_apart(tmp_path: Path) -> None:
    def digest(contents: dict[str, bytes], size: int = 32) -> str:
        write_shard(tmp_path / "shard.h5", files(tmp_path, contents), SETTINGS.model_copy(update={"size": size}), 1)
        with h5py.File(tmp_path / "shard.h5") as file:
            return file.attrs["digest"]

    one, other = encode(smooth(64, 64, 1)), encode(smooth(64, 64, 2))
    assert digest({"a": one, "b": other}) == digest({"a": one, "b": other})
    different = [
        digest({"a": one, "b": other}),
        digest({"a": other, "b": one}),
        digest({"a": one, "c": other}),
        digest({"a": one}),
        digest({"a": one, "b": other}, size=16),
    ]
    assert len(set(different)) == len(different)


def test_an_empty_shard_is_a_shard(tmp_path: Path) -> None:
    quality = write_shard(tmp_path / "shard.h5", files(tmp_path, {}), SETTINGS, threads=2)
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file["images"].shape == (0, 32, 32, 3) and len(file["image"]) == 0
    assert quality.empty and quality["readable"].dtype == bool


def test_a_failing_shard_leaves_nothing_behind(tmp_path: Path) -> None:
    catalog = files(tmp_path / "jpeg", {"good": WHOLE, "bad": b""})
    with pytest.raises(InputError):
        write_shard(tmp_path / "out" / "shard.h5", catalog, SETTINGS, threads=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_job_left_of_a_shard_is_removed_by_the_next(tmp_path: Path) -> None:
    for name in (".shard.h5.123.tmp", ".other.h5.123.tmp"):
        (tmp_path / name).write_bytes(b"half a shard")
    write_shard(tmp_path / "shard.h5", files(tmp_path / "jpeg", {"good": WHOLE}), SETTINGS, threads=1)
    assert {path.name for path in tmp_path.iterdir()} == {"jpeg", "shard.h5", ".other.h5.123.tmp"}


def test_the_quality_table_says_what_each_file_is(tmp_path: Path) -> None:
    contents = {"jpeg": WHOLE, "png": encode(smooth(50, 40), ".png"), "bad": WHOLE[:-9]}
    settings = SETTINGS.model_copy(update={"on_unreadable": "drop"})
    quality = write_shard(tmp_path / "shard.h5", files(tmp_path, contents), settings, threads=2)
    assert quality["sha256"].tolist() == [hashlib.sha256(data).hexdigest() for data in contents.values()]
    assert quality["format"].tolist()[:2] == ["jpeg", "png"] and quality["readable"].tolist() == [True, True, False]
    kinds = {name: str(kind) for name, kind in quality.dtypes.items()}
    assert kinds["bytes"] == "int64" and kinds["hair"] == "float32" and kinds["sha256"] == "str"
    assert np.isnan(quality["sharpness"][2])
    with h5py.File(tmp_path / "shard.h5") as file:
        measured = [measure(image).sharpness for image in file["images"][:]]
    assert quality["sharpness"].tolist()[:2] == np.float32(measured).tolist()


def test_a_killed_shard_leaves_no_output(tmp_path: Path) -> None:
    catalog = files(tmp_path, {"good": WHOLE})
    catalog.to_parquet(tmp_path / "catalog.parquet")
    code = (
        "import os, signal, sys, pandas as pd\n"
        "from pathlib import Path\n"
        "from melanoma.config.data import Images\n"
        "from melanoma.images import shards, store\n"
        "def killed(self): os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.ShardWriter.finish = killed\n"
        f"catalog = pd.read_parquet({str(tmp_path / 'catalog.parquet')!r})\n"
        f"shards.write_shard(Path({str(tmp_path / 'shard.h5')!r}), catalog, {SETTINGS!r}, 1)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False)
    assert result.returncode == -9
    assert not (tmp_path / "shard.h5").exists()


@pytest.mark.real_data
def test_real_images_are_prepared(tmp_path: Path) -> None:
    paths = sorted(real_data("isic2020-subset/jpeg/train").iterdir())[:12]
    catalog = pd.DataFrame({"image": [path.stem for path in paths], "file": [str(path) for path in paths]})
    quality = write_shard(tmp_path / "shard.h5", catalog, SETTINGS.model_copy(update={"size": 256}), threads=2)
    assert quality["readable"].all() and (quality["width"] >= 128).all()
    with h5py.File(tmp_path / "shard.h5") as file:
        pixels = file["images"][:]
    red, green, blue = pixels.mean(axis=(0, 1, 2))
    assert red > green and red > blue, "skin is red"
    assert (pixels.std(axis=(1, 2, 3)) > 5).all(), "no image is flat"
