"""The content of a file says its format, whatever its name; hostile files cost no more than their length."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bad_images import jpeg, other, picture, png
from cases import CASES, needs_cases
from melanoma.config.data import Images
from melanoma.images.decode import decode, upright
from melanoma.images.header import MARKER, Unreadable, read_header
from melanoma.images.shards import prepare_file

ROTATED = Image.Exif()
ROTATED[0x0112] = 6
FILES = {
    "webp": other("WEBP", quality=90),
    "webp, lossless, rotated": other("WEBP", lossless=True, exif=ROTATED),
    "webp, lossless, no extension": other("WEBP", lossless=True),
    "tiff": other("TIFF"),
    "tiff, big-endian": other("TIFF", big_endian=True),
    "tiff, LZW, rotated": other("TIFF", compression="tiff_lzw", exif=ROTATED),
    "tiff, deflate": other("TIFF", compression="tiff_adobe_deflate"),
    "tiff, JPEG": other("TIFF", compression="jpeg"),
    "tiff, gray": other("TIFF", picture().convert("L")),
    "tiff, palette": other("TIFF", picture().quantize(16)),
    "tiff, alpha": other("TIFF", picture().convert("RGBA")),
    "tiff, CMYK": other("TIFF", picture().convert("CMYK")),
    "tiff, two images": other("TIFF", save_all=True, append_images=[picture().rotate(180)]),
    "bmp": other("BMP"),
    "bmp, gray": other("BMP", picture().convert("L")),
    "bmp, 1 bit": other("BMP", picture().convert("1")),
    "png, palette": png(picture().quantize(16)),
    "png, gray and alpha": png(picture().convert("LA")),
    "jpeg of two images": jpeg() + jpeg("L"),
}
# Pillow reads these: it invents the pixels that a damaged file lacks, and a GIF has lost most of its colors.
REFUSED = {"corrupt.jpg", "half_ffd9.jpg", "gif.jpg"}


def read_by_pillow(data: bytes) -> np.ndarray | None:
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        if image.mode == "I;16":  # which Pillow would clip
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return np.asarray(image.convert("RGB")).astype(int)
    except OSError:
        return None


def read_by_us(data: bytes) -> np.ndarray:
    header = read_header(data)
    return upright(decode(data, header, 1), header.orientation).astype(int)


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_are_those_that_pillow_reads(name: str) -> None:
    wanted = read_by_pillow(FILES[name])
    assert wanted is not None
    pixels = read_by_us(FILES[name])
    assert pixels.shape == wanted.shape and np.abs(pixels - wanted).max() <= 1
    assert read_header(FILES[name]).format == name.split(",")[0].split(" ")[0]


def test_the_upper_8_of_16_bits_are_kept() -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (40, 60), np.uint16)
    for data in (png(Image.fromarray(deep)), other("TIFF", Image.fromarray(deep))):
        assert (read_by_us(data)[..., 0] == deep >> 8).all()


@needs_cases
def test_each_strange_file_has_the_pixels_of_pillow_or_a_reason() -> None:
    assert CASES is not None
    paths = sorted((CASES / "data" / "weird").iterdir())
    assert len(paths) >= 40
    for path in paths:
        wanted = None if path.name in REFUSED else read_by_pillow(path.read_bytes())
        result = prepare_file(path, Images(size=32))
        assert (result.pixels is None) == (wanted is None), path
        if wanted is None:
            assert result.problem, path
        else:
            assert np.abs(read_by_us(path.read_bytes()) - wanted).max() <= 1, path
            assert (result.problem is not None) == result.quality.featureless


def test_a_marker_is_two_bytes_so_that_the_search_reads_each_byte_at_most_twice() -> None:
    """A search for the bytes FF before a marker, too, is quadratic: it would begin at each of them."""
    match = MARKER.search(b"\xff" * 1000 + b"\xd8")
    assert match is not None and match.span() == (999, 1001)


def test_the_steps_through_a_header_are_at_most_one_for_each_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    class Counted:
        def search(self, data: bytes, position: int) -> object:
            searches.append(position)
            return MARKER.search(data, position)

    monkeypatch.setattr("melanoma.images.header.MARKER", Counted())
    empty_segments = b"\xff\xe1\0\0" * 1000
    with pytest.raises(Unreadable):
        read_header(b"\xff\xd8" + empty_segments + b"\xff" * 10_000)
    assert len(searches) == 1001 and searches == sorted(set(searches))


def test_the_size_of_a_png_is_that_of_its_first_header_which_is_the_only_one() -> None:
    whole = png()
    assert (read_header(whole).width, read_header(whole).height) == picture().size
    second = whole[8:33]
    with pytest.raises(Unreadable, match=r"two headers \(IHDR\)"):
        read_header(whole[:33] + second + whole[33:])


def test_a_bmp_of_os2_and_one_from_top_to_bottom_have_their_size() -> None:
    old = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 30, 20, 1, 24)
    downwards = b"BM" + bytes(12) + struct.pack("<Iii", 40, 30, -20)
    assert {(read_header(data).width, read_header(data).height) for data in (old, downwards)} == {(30, 20)}


def test_a_folder_of_formats_is_recognized_by_content(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "image.jpg").write_bytes(data)
        result = prepare_file(tmp_path / "image.jpg", Images(size=32))
        assert result.problem is None and result.format == name.split(",")[0].split(" ")[0]
