"""A corpus of image files that are damaged, strange or hostile, each with the expected result of preparation.

Every file is a function of this module alone, so that a failure can be reproduced anywhere.
"""

import io
import os
import re
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 300, 200
FINE = None
ENDS_EARLY = "truncated: no end-of-image marker"
ENDS_IN_HEADER = "truncated: it ends inside its header"
NOT_AN_IMAGE = "no known image format"
TOO_LARGE = r"\d+ x \d+ pixels, more than images\.max_pixels"
CORRUPT = "cannot be decoded: "


@cache
def picture() -> Image.Image:
    """Return a smooth image with some noise, similar to skin."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(64, 192, (6, 8, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC)
    noise = random.normal(0, 4, (HEIGHT, WIDTH, 3))
    return Image.fromarray((np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8))


def of_few_colors() -> Image.Image:
    """Return the picture with a palette."""
    return picture().quantize(16, method=Image.Quantize.FASTOCTREE)


def jpeg(mode: str = "RGB", image: Image.Image | None = None, **options: object) -> bytes:
    """Encode the picture, or `image`, as JPEG."""
    file = io.BytesIO()
    (image or picture()).convert(mode).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def png(image: Image.Image | None = None, **options: object) -> bytes:
    """Encode the picture, or `image`, as PNG."""
    file = io.BytesIO()
    (image or picture()).save(file, "PNG", **options)
    return file.getvalue()


class Doubt(str):
    """The beginning of the problem of a file that is readable, but shows no lesion."""


BLACK, TINY = Doubt("nearly black; if it has 10 to 14 bits in 16, scale it"), Doubt(r"only \d+ x \d+ pixels")


def other(format_: str, image: Image.Image | None = None, **options: object) -> bytes:
    """Encode the picture, or `image`, in another format."""
    file = io.BytesIO()
    (image or picture()).save(file, format_, **options)
    return file.getvalue()


def isobmff(brand: bytes) -> bytes:
    """Return the first box of a file of the family of HEIC."""
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1heic" + bytes(100)


def bits_in_16(bits: int) -> Image.Image:
    """Return the picture in 16 bits of which only the lower ones are used."""
    return Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) << (bits - 8))


def two_headers() -> bytes:
    """Return a PNG with a harmless header before its own."""
    whole = png()
    return whole[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + whole[8:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def deflated_zeros(count: int) -> bytes:
    """Return `count` zeros as zlib compresses them, at once: a block that starts anew is repeated."""
    size = 2**20
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % size)) + packer.flush()
    checksum = struct.pack(">I", count % 65521 << 16 | 1)
    return b"\x78\x01" + block * (count // size) + rest + checksum


def png_of(width: int, height: int, packed: bytes, depth: int = 8, color: int = 2) -> bytes:
    """Return a PNG with these compressed pixels, even if its header states others."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def sized(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG with another size in its header."""
    marker = re.search(rb"\xff[\xc0-\xc2]\x00.\x08", data, re.DOTALL).end()
    return data[:marker] + struct.pack(">HH", height, width) + data[marker + 4 :]


def rotten(data: bytes, start: float, length: int, seed: int = 0) -> bytes:
    """Overwrite `length` bytes with noise, from a share `start` of the file on."""
    at = int(start * len(data))
    noise = np.random.default_rng(seed).integers(0, 255, length, np.uint8).tobytes()
    return data[:at] + noise + data[at + length :]


def with_orientation(value: int, big_endian: bool = False) -> bytes:
    """Return a JPEG with this EXIF orientation."""
    order, mark = (">", b"MM\0*") if big_endian else ("<", b"II*\0")
    block = mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)
    return jpeg(exif=b"Exif\0\0" + block)


def subsampled(horizontal: int, vertical: int) -> bytes:
    """Return a JPEG with other sampling factors of its luminance in the header."""
    data = bytearray(jpeg(subsampling="4:4:4"))
    at = data.index(b"\xff\xc0\x00\x11") + 11
    data[at] = horizontal << 4 | vertical
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    """Return a lossy WebP with another size in its header."""
    data = other("WEBP")
    return data[:26] + struct.pack("<HH", width, height) + data[30:]


def tiff_of(width: int, height: int) -> bytes:
    """Return a TIFF with another size in its header."""
    data = other("TIFF")
    for tag, old, new in ((256, WIDTH, width), (257, HEIGHT, height)):
        entry = struct.pack("<HHI", tag, 4, 1)
        assert entry + struct.pack("<I", old) in data
        data = data.replace(entry + struct.pack("<I", old), entry + struct.pack("<I", new))
    return data


def many_scans(repeated: int) -> bytes:
    """Return a progressive JPEG with its last scan repeated, to keep a decoder busy."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * repeated + b"\xff\xd9"


def scan_by_component(repeated: int) -> bytes:
    """Return a sequential JPEG whose first scan has one component of three and is repeated."""
    data = jpeg()
    scan = data.index(b"\xff\xda")
    one = b"\xff\xda\0\x08\1" + data[scan + 5 : scan + 7] + b"\0\x3f\0" + b"\0" * 20
    return data[:scan] + one * repeated + b"\xff\xd9"


def corpus() -> dict[str, tuple[bytes, str | None]]:
    """Return the content and the expected result of each file, by its name.

    FINE is a readable file. Any other text is the beginning, a regular expression, of the problem of an unreadable one,
    or, as a Doubt, of a readable one.
    """
    base, progressive, gray, cmyk = jpeg(), jpeg(progressive=True), jpeg("L"), jpeg("CMYK")
    restarts, still = jpeg(restart_marker_blocks=4), png()
    alpha = picture().convert("RGBA")
    alpha.putalpha(128)
    deep = Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) * 257)
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(picture()))
    crc = bytearray(still)
    crc[still.index(b"IDAT") + 40] ^= 1
    return {
        # Unusual, but complete.
        "baseline": (base, FINE),
        "progressive": (progressive, FINE),
        "gray": (gray, FINE),
        "cmyk": (cmyk, FINE),
        "cmyk_progressive": (jpeg("CMYK", progressive=True), FINE),
        "restart_markers": (restarts, FINE),
        "subsampling_422": (jpeg(subsampling="4:2:2"), FINE),
        "subsampling_444": (jpeg(subsampling="4:4:4"), FINE),
        "one_pixel": (jpeg(image=picture().crop((0, 0, 1, 1))), TINY),
        "one_row": (jpeg(image=picture().crop((0, 0, WIDTH, 1))), TINY),
        "one_color": (jpeg(image=Image.new("RGB", (WIDTH, HEIGHT), (200, 150, 130))), Doubt("nearly one color")),
        "black": (jpeg(image=Image.new("RGB", (WIDTH, HEIGHT))), BLACK),
        "12_bits_in_16": (png(bits_in_16(12)), BLACK),
        "14_bits_in_16": (other("TIFF", bits_in_16(14)), BLACK),
        "tail_of_zeros": (base + bytes(5000), FINE),
        "tail_of_text": (base + b"appended by a camera", FINE),
        "two_images_in_one_file": (base + gray, FINE),
        "orientation_8_big_endian": (with_orientation(8, big_endian=True), FINE),
        "orientation_that_does_not_exist": (with_orientation(77), FINE),
        "exif_that_ends_early": (jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), FINE),
        "exif_of_noise": (jpeg(exif=b"Exif\0\0" + np.random.default_rng(1).bytes(2000)), FINE),
        "end_marker_in_a_comment": (jpeg(comment=b"\xff\xd9\xff\xda"), FINE),
        "png": (still, FINE),
        "png_16_bit": (png(deep), FINE),
        "png_alpha": (png(alpha), FINE),
        "png_palette": (png(of_few_colors()), FINE),
        "png_1_bit": (png(picture().convert("1")), FINE),
        "png_tail": (still + b"tail", FINE),
        "jpeg_named_as_what_it_is_not": (still, FINE),
        "webp": (other("WEBP"), FINE),
        "webp_lossless_alpha": (other("WEBP", alpha, lossless=True), FINE),
        "webp_animation": (other("WEBP", save_all=True, append_images=[picture().rotate(180)]), FINE),
        "tiff": (other("TIFF"), FINE),
        "tiff_lzw": (other("TIFF", compression="tiff_lzw"), FINE),
        "tiff_jpeg": (other("TIFF", compression="jpeg"), FINE),
        "tiff_of_two_pages": (other("TIFF", save_all=True, append_images=[picture()]), FINE),
        "bmp": (other("BMP"), FINE),
        "bmp_palette": (other("BMP", of_few_colors()), FINE),
        # Truncated.
        "empty": (b"", "empty file"),
        "one_byte": (base[:1], NOT_AN_IMAGE),
        "three_bytes": (base[:3], ENDS_IN_HEADER),
        "header_only": (base[:100], ENDS_IN_HEADER),
        "cut_before_the_scan": (base[: base.index(b"\xff\xda")], ENDS_IN_HEADER),
        "half": (base[: len(base) // 2], ENDS_EARLY),
        "last_byte_missing": (base[:-1], ENDS_EARLY),
        "end_marker_missing": (base[:-2], ENDS_EARLY),
        "half_of_zeros": (base[: len(base) // 2] + bytes(len(base) // 2), ENDS_EARLY),
        "half_and_an_end_marker": (base[: len(base) // 2] + b"\xff\xd9", CORRUPT),
        "half_and_a_tail": (base[: len(base) // 2] + b"\xff\xd9" + bytes(100), CORRUPT),
        "progressive_half": (progressive[: len(progressive) // 2] + b"\xff\xd9", CORRUPT),
        "gray_half": (gray[: len(gray) // 2] + b"\xff\xd9", CORRUPT),
        "cmyk_half": (cmyk[: len(cmyk) // 2] + b"\xff\xd9", CORRUPT),
        "whole_thumbnail_half_image": (jpeg(exif=b"Exif\0\0" + base)[:-3000], ENDS_EARLY),
        "png_half": (still[: len(still) // 2], ENDS_EARLY),
        "png_signature_only": (still[:8], ENDS_IN_HEADER),
        "png_end_missing": (still[:-12], ENDS_EARLY),
        "png_pixels_missing": (png_of(WIDTH, HEIGHT, deflated(rows[: len(rows) // 2])), CORRUPT),
        "webp_half": (other("WEBP")[:2000], ENDS_EARLY),
        "tiff_half": (other("TIFF", compression="tiff_lzw")[:50_000], CORRUPT),
        "tiff_start": (other("TIFF")[:6], "cannot be decoded: its header gives no width"),
        "bmp_half": (other("BMP")[:50_000], CORRUPT),
        "bmp_start": (other("BMP")[:20], ENDS_IN_HEADER),
        # Damaged inside.
        "rot_at_a_third": (rotten(base, 0.33, 64), CORRUPT),
        "rot_at_the_end": (rotten(base, 0.9, 64, seed=1), CORRUPT),
        "rot_in_restart_markers": (rotten(restarts, 0.5, 64), CORRUPT),
        "rot_in_progressive": (rotten(progressive, 0.5, 64), CORRUPT),
        "zeros_inside": (base[:4000] + bytes(2000) + base[6000:], CORRUPT),
        "a_piece_missing": (base[:4000] + base[5000:], CORRUPT),
        "a_piece_twice": (base[:5000] + base[4000:], CORRUPT),
        "text_inside": (base[:4000] + b"<html>502 Bad Gateway</html>" * 30 + base[4840:], CORRUPT),
        "line_ends_translated": (base.replace(b"\n", b"\r\n"), "(cannot be decoded|truncated)"),
        "no_huffman_tables": (re.sub(rb"\xff\xc4", b"\xff\xe9", jpeg(optimize=True)), CORRUPT),
        "standard_huffman_tables_left_out": (re.sub(rb"\xff\xc4", b"\xff\xe9", base), FINE),
        "no_quantization_tables": (re.sub(rb"\xff\xdb", b"\xff\xe9", base), CORRUPT),
        "one_bit_of_a_png": (bytes(crc), "damaged: the checksum of its chunk IDAT does not match"),
        "png_header_changed": (still.replace(b"\x01\x2c", b"\x01\x2d", 1), "damaged: the checksum of its chunk IHDR"),
        # Of another format.
        "web_page": (b"<HTML>404 Not Found</html>", "a web page, which is not read; download"),
        "git_lfs_pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, .* `git lfs pull`"),
        "zeros": (bytes(10_000), NOT_AN_IMAGE),
        "noise": (np.random.default_rng(2).bytes(10_000), NOT_AN_IMAGE),
        "gif": (
            other("GIF", of_few_colors()),
            "GIF, which is not read; it has at most 256 colors: export the original",
        ),
        "heic": (isobmff(b"heic"), "HEIC, which is not read; convert it to JPEG, PNG or TIFF"),
        "avif": (isobmff(b"avif"), "AVIF, which is not read; convert"),
        "jpeg_2000": (other("JPEG2000"), "JPEG 2000, which is not read; convert"),
        "riff_that_is_no_webp": (b"RIFF\x24\0\0\0WAVEfmt ", NOT_AN_IMAGE),
        "pdf": (other("PDF"), "PDF, which is not read; export"),
        "apple_double": (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(80), "AppleDouble, which is not read; macOS wrote"),
        "raw_file_of_a_camera": (other("TIFF", tiffinfo={254: 1}), "its first image is a preview"),
        "tiff_of_floats": (other("TIFF", Image.fromarray(np.ones((20, 30), np.float32))), CORRUPT),
        "jpeg_without_an_image": (b"\xff\xd8\xff\xd9", "cannot be decoded: a JPEG without an image"),
        "jpeg_start_and_zeros": (b"\xff\xd8\xff" + bytes(1000), "(truncated|cannot be decoded)"),
        "lossless_jpeg": (base.replace(b"\xff\xc0", b"\xff\xc3", 1), CORRUPT),
        "arithmetic_jpeg": (base.replace(b"\xff\xc0", b"\xff\xc9", 1), CORRUPT),
        "zero_width": (sized(base, 0, HEIGHT), "cannot be decoded: its header gives no width and height"),
        "taller_than_its_data": (sized(base, WIDTH, 1500), CORRUPT),
        "wider_than_its_data": (sized(base, 1500, HEIGHT), CORRUPT),
        "shorter_than_its_data": (sized(base, WIDTH, 64), CORRUPT),
        "png_zero_width": (png_of(0, 10, deflated(b"")), "cannot be decoded: its header gives no width and height"),
        "png_of_an_unknown_kind": (png_of(WIDTH, HEIGHT, deflated(rows), color=5), CORRUPT),
        "unknown_subsampling": (subsampled(3, 1), CORRUPT),
        # Decompression bombs.
        "jpeg_bomb": (sized(base, 65_500, 65_500), TOO_LARGE),
        "png_bomb": (png_of(50_000, 50_000, deflated_zeros(10_000_000)), TOO_LARGE),
        "png_bomb_of_bits": (png_of(2**31 - 1, 2**31 - 1, deflated(b""), depth=1, color=0), TOO_LARGE),
        "webp_bomb": (webp_of(16_383, 16_383), TOO_LARGE),
        "tiff_bomb": (tiff_of(60_000, 60_000), TOO_LARGE),
        "bmp_bomb": (other("BMP").replace(struct.pack("<i", WIDTH), struct.pack("<i", -(2**31)), 1), TOO_LARGE),
        "png_of_two_headers": (two_headers(), r"damaged: it has two headers \(IHDR\)"),
        "a_megabyte_of_ff": (b"\xff\xd8" + b"\xff" * 10**6, ENDS_IN_HEADER),
        "a_megabyte_of_ff_in_a_jpeg": (base[:20] + b"\xff" * 10**6 + base[20:], FINE),
        "jpeg_just_under_the_limit": (sized(base, 7_000, 7_000), CORRUPT),
        "progressive_under_the_limit": (sized(progressive, 7_000, 7_000), CORRUPT),
        "cmyk_progressive_under_the_limit": (sized(jpeg("CMYK", progressive=True), 7_000, 7_000), CORRUPT),
        "png_just_under_the_limit": (png_of(7_000, 7_000, deflated_zeros(7_000 * 21_001)), BLACK),
        "png_16_bit_alpha_under_the_limit": (
            png_of(7_000, 7_000, deflated_zeros(7_000 * 56_001), depth=16, color=6),
            BLACK,
        ),
        "many_scans": (many_scans(1000), "a JPEG of more than 500 scans"),
        "many_scans_of_components": (scan_by_component(1000), "a JPEG of more than 500 scans"),
        "many_scans_of_many_pixels": (
            sized(many_scans(400), 7_000, 7_000),
            r"a JPEG of \d+ scans of 7000 x 7000 pixels",
        ),
        "text_bomb_in_a_png": (
            still[:33] + chunk(b"zTXt", b"a\0\0" + deflated_zeros(300_000_000)) + still[33:],
            FINE,
        ),
    }


def write_special(folder: Path) -> dict[str, tuple[Path, str]]:
    """Create entries of a folder that cannot be read as image files; return each with its expected result."""
    special = {name: folder / f"{name}.jpg" for name in ("missing", "folder", "pipe", "loop", "dangling", "sparse")}
    special["folder"].mkdir()
    os.mkfifo(special["pipe"])
    special["loop"].symlink_to(special["loop"])
    special["dangling"].symlink_to(folder / "nowhere")
    with special["sparse"].open("wb") as file:
        file.truncate(50 * 2**30)
    said = {
        "missing": "cannot be opened: No such file or directory",
        "folder": "not a file",
        "pipe": "not a file",
        "loop": "cannot be opened: Too many levels of symbolic links",
        "dangling": "cannot be opened: No such file or directory",
        "sparse": "53687091200 bytes, expected at most 268435456",
    }
    return {name: (path, said[name]) for name, path in special.items()}
