"""A zip with a forbidden entry is refused before anything is unpacked."""

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.downloads.archive import unpack_file, unpack_folder
from zips import zipped


def info(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = (kind | 0o777) << 16
    return made


EVIL = {
    "parent": ("../evil.jpg", "leads outside"),
    "deep parent": ("train/../../evil.jpg", "leads outside"),
    "absolute": ("/tmp/evil.jpg", "an absolute name"),
    "drive": ("C:/evil.jpg", "an absolute name"),
    "backslash": ("train\\..\\evil.jpg", "a backslash"),
    "control": ("train/ev\nil.jpg", "control character"),
    "link": (info("train/evil.jpg", stat.S_IFLNK), "a link"),
    "device": (info("train/evil.jpg", stat.S_IFCHR), "special file"),
    "empty": (info(""), "no name"),
    "over-long": (f"train/{'é' * 128}", "a name of more than 255 bytes"),
    "twice": ("other/GOOD.jpg", "another file of the zip has the same name"),
}


@pytest.mark.parametrize("evil", EVIL)
def test_a_zip_with_an_evil_name_is_refused_as_a_whole(tmp_path: Path, evil: str) -> None:
    name, reason = EVIL[evil]
    archive = zipped(tmp_path / "made.zip", {"train/good.jpg": b"good", name: b"/etc/passwd"})
    for unpack, path in ((unpack_folder, tmp_path / "train"), (unpack_file, tmp_path / "good.jpg")):
        with pytest.raises(InputError) as caught:
            unpack(archive, path)
        assert reason in str(caught.value) and "nothing was unpacked" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["made.zip"]


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "made.zip", {"a.jpg": b"a"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        unpack_folder(archive, tmp_path / "train")


def test_folders_hidden_files_and_a_macs_leftovers_are_left_out(tmp_path: Path) -> None:
    files = {"t/": b"", "t/a.jpg": b"a", "t/.b": b"", "__MACOSX/t/a.jpg": b"", info("c.jpg"): b"c"}
    unpack_folder(zipped(tmp_path / "made.zip", files), tmp_path / "train")
    assert {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()} == {"a.jpg": b"a", "c.jpg": b"c"}


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "made.zip", {f"{n}.jpg": bytes(10**6) for n in range(3)})
    with pytest.raises(InputError, match="would unpack to 3000000: a decompression bomb"):
        unpack_folder(bomb, tmp_path / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["made.zip"]


def test_a_size_that_is_a_lie_is_found(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "made.zip", {"a.jpg": bytes(1000)})
    archive.write_bytes(archive.read_bytes().replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(InputError, match="not a complete zip"):
        unpack_folder(archive, tmp_path / "train")
    assert [path.name for path in tmp_path.iterdir()] == ["made.zip"]


def test_a_zip_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "made.zip", {"a.jpg": b"12345"})
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4}))
    with pytest.raises(InputError, match="5 bytes to unpack, and 4 are free"):
        unpack_folder(archive, tmp_path / "train")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_one_flipped_byte_changes_no_file_and_is_no_other_error(tmp_path: Path, method: int) -> None:
    content = np.random.default_rng(1).integers(0, 16, 3000, np.uint8).tobytes()
    archive = tmp_path / "made.zip"
    with zipfile.ZipFile(archive, "w", method) as made:
        made.writestr("t/a.jpg", content)
    whole, refused = archive.read_bytes(), 0
    random = np.random.default_rng(2)
    for number, place in enumerate(random.integers(len(whole), size=100)):
        data = bytearray(whole)
        data[place] ^= random.integers(1, 256)
        archive.write_bytes(data)
        try:
            unpack_folder(archive, tmp_path / f"{number}")
        except InputError:
            refused += 1
        else:
            assert all(path.read_bytes() == content for path in (tmp_path / f"{number}").iterdir())
    assert refused > 80
