"""A missing file is downloaded completely and checked, even from a bad server; an existing file is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import CONTENT, SHA256, Server, get, left, refused, serving
from melanoma.common.errors import InputError
from melanoma.config.data import Download
from melanoma.downloads.download import fetch


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def test_a_file_is_downloaded_checked_and_alone(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "new" / "file", bytes=len(CONTENT), sha256=SHA256)
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert left(tmp_path / "new") == {"file"} and server.asked == [None]


def test_the_first_digits_of_a_hash_are_enough(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "file", sha256=SHA256[:8].upper())
    assert (tmp_path / "file").exists()


def test_what_is_there_is_neither_asked_for_nor_touched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    get(server, tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_text() == "mine" and not server.asked


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_cut_connection_goes_on_where_it_was_cut(server: Server, tmp_path: Path, header: str) -> None:
    server.headers = {header: '"1"' if header == "ETag" else "Wed, 21 Oct 2020 07:28:00 GMT"}
    server.cuts = [500_000, 100_000, 1]
    get(server, tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=600000-", "bytes=600001-"]


def test_any_number_of_cuts_is_survived_as_long_as_each_answer_brings_something(server: Server, tmp_path: Path) -> None:
    server.cuts = [10_000] * 50
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT and len(server.asked) == 51


def test_the_next_run_goes_on_where_the_last_one_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = [500_000, 0, 0, 0]
    refused(server, tmp_path / "file", "the connection was cut after 500000 of 1024000 bytes")
    assert left(tmp_path) == {"file.part", "file.part.json"}
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT and server.asked[-1] == "bytes=500000-"


def test_a_download_that_lacks_only_its_name_needs_no_byte_more(server: Server, tmp_path: Path) -> None:
    server.cuts = [500_000, 0, 0, 0]
    refused(server, tmp_path / "file", "cut")
    (tmp_path / "file.part").write_bytes(CONTENT)
    get(server, tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT and server.asked[-1] == f"bytes={len(CONTENT)}-"


def test_a_server_that_ignores_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [500_000]
    get(server, tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT and len(server.asked) == 2


def test_a_server_that_always_cuts_at_the_same_byte_ends_in_a_message(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [500_000] * 9
    refused(server, tmp_path / "file", "cut after 500000 of 1024000", "put it at", str(tmp_path / "file"))
    assert len(server.asked) == 3


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_parts_of_two_versions_are_never_joined(server: Server, tmp_path: Path, heeds_if_range: bool) -> None:
    server.cuts, server.heeds_if_range = [500_000, 0, 0, 0], heeds_if_range
    refused(server, tmp_path / "file", "cut")
    server.files["/file"], server.headers = CONTENT[::-1], {"ETag": '"2"'}
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[::-1]


def test_nothing_is_resumed_where_nothing_tells_that_the_file_is_the_same(server: Server, tmp_path: Path) -> None:
    server.headers, server.cuts = {}, [500_000]
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT and server.asked == [None, None]


def test_another_address_starts_anew(server: Server, tmp_path: Path) -> None:
    server.cuts = [500_000, 0, 0, 0]
    refused(server, tmp_path / "file", "cut")
    server.files["/other"] = b"other"
    get(server, tmp_path / "file", "/other")
    assert (tmp_path / "file").read_bytes() == b"other" and server.asked[-1] is None


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [500, 503]
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_stays_in_trouble_ends_in_a_message(server: Server, tmp_path: Path) -> None:
    server.statuses = [500] * 9
    refused(server, tmp_path / "file", "500", "put it at")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_asked_for_once(server: Server, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    refused(server, tmp_path / "file", str(status), "Correct the address", "put it at", str(tmp_path / "file"))
    assert len(server.asked) == 1


def test_another_size_is_refused_before_it_is_downloaded(server: Server, tmp_path: Path) -> None:
    refused(server, tmp_path / "file", "the server has 1024000 bytes, expected 7", bytes=7)
    assert not left(tmp_path)


def test_another_size_is_refused_where_the_server_does_not_tell_it(server: Server, tmp_path: Path) -> None:
    server.tells_length = False
    refused(server, tmp_path / "file", "more than 7 bytes", bytes=7)
    assert not left(tmp_path)


def test_another_hash_is_refused_and_nothing_of_it_is_kept(server: Server, tmp_path: Path) -> None:
    refused(server, tmp_path / "file", f"SHA-256 is {SHA256}, expected {'0' * 64}", "Run again", sha256="0" * 64)
    assert not left(tmp_path)


def test_a_web_page_is_no_file(server: Server, tmp_path: Path) -> None:
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    refused(server, tmp_path / "file", "a web page")


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html>\n<p>", b"\n <HTML><p>", b"\xef\xbb\xbf<?xml version='1.0'?><!-- a --><html lang='en'>"]
)
def test_a_web_page_is_no_file_whatever_the_server_calls_it(server: Server, tmp_path: Path, page: bytes) -> None:
    server.files["/file"], server.headers = page, {"Content-Type": "text/csv"}
    refused(server, tmp_path / "file", "a web page")
    assert not left(tmp_path)


@pytest.mark.parametrize("tells_length", [True, False])
def test_an_empty_answer_is_no_file(server: Server, tmp_path: Path, tells_length: bool) -> None:
    server.files["/file"], server.tells_length = b"", tells_length
    refused(server, tmp_path / "file", "the file is empty")
    assert not left(tmp_path)


@pytest.mark.parametrize("status", [202, 204, 205])
def test_another_answer_than_a_file_is_refused(server: Server, tmp_path: Path, status: int) -> None:
    server.success = status
    refused(server, tmp_path / "file", f"the server answers {status}")


@pytest.mark.parametrize("encoding", ["gzip", "br", "aws-chunked"])
def test_an_encoded_file_is_refused(server: Server, tmp_path: Path, encoding: str) -> None:
    server.headers = {"Content-Encoding": encoding}
    refused(server, tmp_path / "file", f"the server sends the file as '{encoding}'")


@pytest.mark.parametrize("length", ["-5", "many", "1e3"])
def test_a_size_that_is_none_is_a_message(server: Server, tmp_path: Path, length: str) -> None:
    server.headers, server.tells_length = {"Content-Length": length}, False
    refused(server, tmp_path / "file", f"states a size of '{length}'")


def test_a_server_that_sends_without_end_is_left_at_the_known_size(server: Server, tmp_path: Path) -> None:
    server.files["/file"], server.tells_length = CONTENT * 20, False
    refused(server, tmp_path / "file", f"more than {len(CONTENT)} bytes", bytes=len(CONTENT))
    assert not left(tmp_path)


def test_a_file_of_another_size_is_never_joined_though_its_version_is_the_same(server: Server, tmp_path: Path) -> None:
    server.cuts = [500_000, 0, 0, 0]
    refused(server, tmp_path / "file", "cut")
    server.files["/file"] = CONTENT[::-1] + b"more"
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[::-1] + b"more"


def test_what_a_stalled_connection_brought_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melanoma.downloads.download.TIMEOUT", 0.2)
    server.stalls = [300_000]
    get(server, tmp_path / "file", sha256=SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT and server.asked == [None, "bytes=300000-"]


def test_only_http_is_spoken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an address that begins with http"):
        fetch(Download(url="file:///etc/passwd"), tmp_path / "file")


def test_offline_one_message_says_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    url, folder = "http://127.0.0.1:9/train.zip", tmp_path / "jpeg" / "train"
    with pytest.raises(InputError) as caught:
        fetch(Download(url=url, unzip="folder"), folder, attempts=2, pause=0.0)
    for part in ("this machine may be offline", f"download {url} elsewhere and unzip its files into {folder}"):
        assert part in str(caught.value)
