"""Images of every orientation and depth are decoded, damage is detected, and the options change the pixels."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from melanoma.images.header import Unreadable
from melanoma.images.preprocess import bright_window, shades_of_gray
from pictures import decode, encode, jpeg_with, smooth
from real_data import real_data

PNG = encode(smooth(300, 200), ".png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg_with(smooth(120, 120), exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))).astype(int)
    assert np.abs(decode(data, 120, "resize") - wanted).mean() < 0.5


def test_a_png_is_turned_upright_and_16_bits_and_alpha_are_read() -> None:
    pixels = smooth(60, 40)
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    assert (decode(file.getvalue(), 16, "resize") == decode(encode(pixels[::-1, ::-1], ".png"), 16, "resize")).all()
    deep = cv2.imencode(".png", pixels[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    clear = cv2.imencode(".png", np.dstack([pixels[..., ::-1], np.full((40, 60), 7, np.uint8)]))[1].tobytes()
    for data in (deep, clear):
        assert (decode(data, 16, "resize") == decode(encode(pixels, ".png"), 16, "resize")).all()


@given(start=st.integers(0, len(PNG) - 64), seed=st.integers(0, 2**31))
def test_noise_inside_a_png_is_always_found(start: int, seed: int) -> None:
    data = PNG[:start] + np.random.default_rng(seed).bytes(64) + PNG[start + 64 :]
    assume(data != PNG)
    with pytest.raises(Unreadable):
        decode(data, 32, "resize")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
def test_most_noise_inside_a_jpeg_is_found(options: dict) -> None:
    """No decoder detects all noise: a Huffman code can synchronize again."""
    random = np.random.default_rng(0)
    textured = (smooth(512, 384) + random.normal(0, 6, (384, 512, 3))).clip(0, 255).astype(np.uint8)
    data, found = jpeg_with(textured, **options), 0
    for _ in range(100):
        at = int(random.integers(1500, len(data) - 100))
        try:
            decode(data[:at] + random.bytes(64) + data[at + 64 :], 64, "resize")
        except Unreadable:
            found += 1
    assert found >= 60


def test_a_black_frame_is_cut_off_on_request_alone() -> None:
    inside = smooth(900, 900)
    framed = cv2.copyMakeBorder(inside, 300, 300, 900, 100, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    data = encode(framed)
    cut = decode(data, 128, "center_crop", crop_border=True).astype(int)
    assert np.abs(cut - decode(encode(inside), 128, "center_crop")).mean() < 2.5
    assert (decode(data, 128, "center_crop") < 10).mean() > 0.2
    assert bright_window(np.zeros((50, 50, 3), np.uint8)) == (0, 0, 1, 1), "all black is left whole"


def test_cutting_a_frame_off_does_not_lose_resolution() -> None:
    """The whole image could be decoded at a smaller size than the part that is kept."""
    fine = np.random.default_rng(0).integers(60, 256, (300, 300, 3), np.uint8)
    framed = cv2.copyMakeBorder(fine, 900, 900, 900, 900, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    cut = decode(encode(framed, quality=100), 256, "center_crop", crop_border=True)
    assert cut[20:-20, 20:-20].std() > 25


@given(gains=st.tuples(*[st.floats(0.5, 1.0)] * 3))
def test_shades_of_gray_removes_the_color_of_the_light(gains: tuple[float, float, float]) -> None:
    def norms(pixels: np.ndarray) -> np.ndarray:
        return (pixels.astype(float) ** 6).mean(axis=(0, 1)) ** (1 / 6)

    lit = (smooth(64, 64) * gains).round().astype(np.uint8)
    white = shades_of_gray(lit)
    assert np.ptp(norms(white)) < 2
    assert abs(np.linalg.norm(norms(white)) - np.linalg.norm(norms(lit))) < 3


def test_shades_of_gray_leaves_black_black() -> None:
    assert (shades_of_gray(np.zeros((8, 8, 3), np.uint8)) == 0).all()


def test_color_constancy_is_applied_on_request_alone() -> None:
    data = encode((smooth(64, 64) * (1.0, 0.6, 0.6)).astype(np.uint8), ".png")
    plain = decode(data, 32, "resize")
    assert (decode(data, 32, "resize", color_constancy="shades_of_gray") == shades_of_gray(plain)).all()
    assert not (shades_of_gray(plain) == plain).all()


@pytest.mark.large
@pytest.mark.real_data
def test_at_24_megapixels_a_reduced_decode_is_the_full_one_within_a_gray_level_and_a_half() -> None:
    for number, path in enumerate(sorted(real_data("isic2020-subset/jpeg/train").iterdir())[::300]):
        large = cv2.resize(cv2.imread(str(path)), (6000, 4000), interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(number).integers(-9, 10, large.shape, np.int16)
        data = encode((large + noise).clip(0, 255).astype(np.uint8)[..., ::-1], quality=92)
        full = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, 1000:5000, ::-1]
        wanted = cv2.resize(np.ascontiguousarray(full), (512, 512), interpolation=cv2.INTER_AREA)
        assert np.abs(decode(data, 512, "center_crop").astype(int) - wanted).mean() <= 1.5
