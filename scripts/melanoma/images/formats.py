"""Names the format of a file that is no image of a format that can be read, by its content, with the remedy."""

CONVERT = "convert it to JPEG, PNG or TIFF"
DOWNLOAD = "download the image again"
# The place of a signature, the signature, the format, and the remedy.
SIGNATURES = (
    *((4, b"ftyp" + brand, "HEIC", CONVERT) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftypavi", "AVIF", CONVERT),
    (0, b"GIF8", "GIF", "it has at most 256 colors: export the original image as JPEG, PNG or TIFF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000", CONVERT),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", CONVERT),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL", CONVERT),
    (0, b"\xff\x0a", "JPEG XL", CONVERT),
    (0, b"8BPS", "Photoshop", CONVERT),
    (0, b"%PDF", "PDF", "export the image in it as JPEG, PNG or TIFF"),
    (0, b"PK\3\4", "zip", "unpack it"),
    (0, b"\x1f\x8b", "gzip", "unpack it"),
    (0, b"\0\5\x16\7", "AppleDouble", "macOS wrote it beside the image: name the image itself"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull`, which replaces it by the image"),
    (0, b"<!doctype", "a web page", DOWNLOAD),
    (0, b"<html", "a web page", DOWNLOAD),
    (0, b"<?xml", "XML", DOWNLOAD),
)


def foreign_format(data: bytes) -> str:
    """Return what a file is, and what to do, if it is no JPEG, PNG, WebP, TIFF, BMP or DICOM file."""
    for place, signature, name, remedy in SIGNATURES:
        start = data[place : place + len(signature)]
        if signature in (start, start.lower()):
            return f"{name}, which is not read; {remedy}"
    return f"no known image format (starts with {data[:8]!r}); replace it by a JPEG, PNG, WebP, TIFF or BMP image"
