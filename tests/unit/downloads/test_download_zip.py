"""A downloaded zip leaves its files and no zip, even if it is damaged or its unpacking is interrupted."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import CONTENT, Server, get, left, refused, serving
from zips import zipped


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def test_a_zip_becomes_a_folder_of_its_files(server: Server, tmp_path: Path) -> None:
    members = {"train/": b"", "train/a.jpg": b"a", "train/b.jpg": b"b", "__MACOSX/a.jpg": b"", "train/.hidden": b""}
    server.files["/train.zip"] = zipped(tmp_path / "made.zip", members).read_bytes()
    server.cuts = [100]
    folder = tmp_path / "jpeg" / "train"
    get(server, folder, "/train.zip", unzip="folder")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.jpg": b"a", "b.jpg": b"b"}
    assert left(folder.parent) == {"train"}


def test_one_file_is_taken_out_of_a_zip(server: Server, tmp_path: Path) -> None:
    server.files["/t.zip"] = zipped(tmp_path / "made.zip", {"x/table.csv": b"1", "x/other.csv": b"2"}).read_bytes()
    get(server, tmp_path / "table.csv", "/t.zip", unzip="file")
    assert (tmp_path / "table.csv").read_bytes() == b"1"
    refused(server, tmp_path / "no.csv", "no file no.csv. Its files are", "table.csv", name="/t.zip", unzip="file")


def test_an_interrupted_unpacking_starts_again_without_the_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/train.zip"] = zipped(tmp_path / "made.zip", {"a.jpg": b"a"}).read_bytes()
    folder = tmp_path / "jpeg" / "train"
    with monkeypatch.context() as patched:
        patched.setattr("melanoma.downloads.archive._copy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            get(server, folder, "/train.zip", unzip="folder")
    assert left(folder.parent) == {"train.part", "train.part.json"}
    (folder.parent / ".train.unpacking").mkdir()
    get(server, folder, "/train.zip", unzip="folder")
    assert left(folder) == {"a.jpg"} and left(folder.parent) == {"train"} and len(server.asked) == 1


def test_a_zip_that_leads_outside_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/evil.zip"] = zipped(tmp_path / "made.zip", {"train/../../evil.jpg": b""}).read_bytes()
    folder = tmp_path / "in" / "train"
    refused(server, folder, "leads outside", name="/evil.zip", unzip="folder")
    assert not left(folder.parent) and left(tmp_path) == {"in", "made.zip"}


@pytest.mark.parametrize("damage", ["cut", "rot", "no zip"])
def test_a_damaged_zip_is_refused_and_downloaded_anew(server: Server, tmp_path: Path, damage: str) -> None:
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        archive.writestr("a.jpg", CONTENT[:1000])
    good = (tmp_path / "made.zip").read_bytes()
    bad = {"cut": good[:-10], "rot": good[:500] + b"rot" + good[503:], "no zip": b"image,target"}[damage]
    server.files["/train.zip"] = bad
    folder = tmp_path / "in" / "train"
    refused(server, folder, "not a complete zip", name="/train.zip", unzip="folder")
    assert not left(folder.parent)
    server.files["/train.zip"] = good
    get(server, folder, "/train.zip", unzip="folder")
    assert left(folder) == {"a.jpg"}
