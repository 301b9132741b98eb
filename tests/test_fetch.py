"""Fetch: what is missing is downloaded whole and checked, whatever server and zip do; what is there stays as it is."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from melanoma.errors import InputError
from melanoma.fetch import Download, fetch
from melanoma.study import resolve
from workflow import clone, failing, planned, snakemake

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A file server on this machine that can be told how to fail; `asked` lists the Range of each request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []  # how many bytes each of the next answers sends before it breaks off
        self.statuses: list[int] = []  # of the next answers
        self.ranges = self.heeds_if_range = True
        self.headers = {"ETag": '"1"'}
        self.tells_length = True
        self.asked: list[str | None] = []

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.headers.get("Range"))
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start, total = 0, len(content)
        same = not self.heeds_if_range or request.headers.get("If-Range") in (None, *self.headers.values())
        if self.ranges and same and self.asked[-1]:
            start = int(self.asked[-1].removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{total}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            request.send_response(200)
        for name, value in self.headers.items():
            request.send_header(name, value)
        if self.tells_length:
            request.send_header("Content-Length", str(total - start))
        request.end_headers()
        request.wfile.write(content[start:][: self.cuts.pop(0)] if self.cuts else content[start:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        told.files["/file"] = CONTENT
        yield told
        http.shutdown()


def get(server: Server, path: Path, name: str = "/file", **options: Any) -> None:
    fetch(Download(server.url + name, **options), path, attempts=3, pause=0.0)


def refused(server: Server, path: Path, *parts: str, name: str = "/file", **options: Any) -> None:
    """Check that a download ends in a message with all `parts`, and makes nothing at `path`."""
    with pytest.raises(InputError) as caught:
        get(server, path, name, **options)
    for part in (server.url + name, *parts):
        assert part in str(caught.value), str(caught.value)
    assert not path.exists()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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
    refused(server, tmp_path / "file", "1024000 bytes received, expected 7", bytes=7)
    assert not left(tmp_path)


def test_another_hash_is_refused_and_nothing_of_it_is_kept(server: Server, tmp_path: Path) -> None:
    refused(server, tmp_path / "file", f"SHA-256 is {SHA256}, expected {'0' * 64}", "Run again", sha256="0" * 64)
    assert not left(tmp_path)


def test_a_web_page_is_no_file(server: Server, tmp_path: Path) -> None:
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    refused(server, tmp_path / "file", "a web page")


def test_only_http_is_spoken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an address that begins with http"):
        fetch(Download("file:///etc/passwd"), tmp_path / "file")


def test_offline_one_message_says_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    url, folder = "http://127.0.0.1:9/train.zip", tmp_path / "jpeg" / "train"
    with pytest.raises(InputError) as caught:
        fetch(Download(url, unzip="folder"), folder, attempts=2, pause=0.0)
    for part in ("offline?", f"download {url} elsewhere and unzip its files into {folder}"):
        assert part in str(caught.value)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


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
    refused(server, tmp_path / "no.csv", "no file no.csv. It has", "table.csv", name="/t.zip", unzip="file")


def test_an_interrupted_unpacking_starts_again_without_the_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/train.zip"] = zipped(tmp_path / "made.zip", {"a.jpg": b"a"}).read_bytes()
    folder = tmp_path / "jpeg" / "train"
    with monkeypatch.context() as patched:
        patched.setattr("melanoma.archive._copy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
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
    bad = {"cut": good[:-10], "rot": good[:500] + b"rot" + good[503:], "no zip": b"<html>"}[damage]
    server.files["/train.zip"] = bad
    folder = tmp_path / "in" / "train"
    refused(server, folder, "not a whole zip", name="/train.zip", unzip="folder")
    assert not left(folder.parent)
    server.files["/train.zip"] = good
    get(server, folder, "/train.zip", unzip="folder")
    assert left(folder) == {"a.jpg"}


def resolved(**sections: Any) -> dict[str, Any]:
    source = {"name": "a", "table": "t.csv", "images": "jpeg"}
    config = {"study": "a", "data": {"sources": [source]}, "models": {"m": {"network": "metadata_mlp"}}}
    return resolve(config | sections)


def test_official_files_are_known_and_an_address_of_ones_own_takes_their_place() -> None:
    known = resolved()["fetch"]
    assert known["data/isic2020/jpeg/train"]["unzip"] == "folder"
    assert known["data/weights/resnest269-0cc87c48.pth"]["sha256"] == "0cc87c48"
    mine = {"data/isic2020/train.csv": {"url": "https://mirror/t.csv"}, "data/x.csv": {"url": "https://mirror/x.csv"}}
    with_mine = resolved(fetch=mine)["fetch"]
    assert set(with_mine) == {*known, "data/x.csv"}
    assert with_mine["data/isic2020/train.csv"] == mine["data/isic2020/train.csv"] | dict.fromkeys(
        ("bytes", "sha256", "unzip")
    )


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"fetch": {"x": {}}}, r"fetch.x: missing 'url' \(url: Its address"),
        ({"fetch": {"x": {"url": "u", "sha": ""}}}, r"unknown key 'sha' \(did you mean 'sha256'\?\)"),
        ({"fetch": {"x": {"url": "u", "unzip": "all"}}}, r"'all' is not allowed"),
        (
            {"data": {"sources": [{"name": "a", "layout": "columns", "table": "t", "images": "i"}]}},
            r"missing 'columns' \(columns: the table's name of each",
        ),
        (
            {
                "data": {
                    "sources": [{"name": "a", "table": "t", "images": "i", "columns": {"image": "f", "lable": "l"}}]
                }
            },
            r"unknown key 'lable'",
        ),
        ({"data": {"sources": [{"name": "a", "layout": "isic2019", "table": "t", "images": "i"}]}}, r"mean 'isic'"),
        ({"data": {"sources": [{"name": "a", "role": "train", "table": "t", "images": "i"}]}}, r"mean 'extra_train'"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved(**sections)


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Path:
    """A clone with a study whose table, metadata and images can be downloaded."""
    (tmp_path / "project").mkdir()
    folder = clone(tmp_path / "project")
    rows = [f"ISIC_{n},{n % 2},{1 - n % 2}" for n in range(40)]
    server.files["/truth.csv"] = "\n".join(["image,MEL,NV", *rows]).encode()
    server.files["/more.csv"] = "\n".join(["image,age_approx", *(f"ISIC_{n},50" for n in range(40))]).encode()
    made = zipped(tmp_path / "made.zip", {f"in/ISIC_{n}.jpg": b"jpeg" for n in range(40)})
    server.files["/train.zip"] = made.read_bytes()
    source = {"name": "isic2019", "layout": "isic", "table": "data/x/truth.csv", "metadata": "data/x/more.csv"}
    downloads = {
        "data/x/truth.csv": {"url": f"{server.url}/truth.csv?a=1&b=2"},
        "data/x/more.csv": {"url": f"{server.url}/more.csv"},
        "data/x/jpeg": {"url": f"{server.url}/train.zip", "unzip": "folder"},
    }
    server.files["/truth.csv?a=1&b=2"] = server.files.pop("/truth.csv")
    study = {
        "study": "fetched",
        "data": {"sources": [source | {"images": "data/x/jpeg"}]},
        "fetch": downloads,
        "models": {"logistic": {"network": "logistic_regression"}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


CATALOG = ("results/fetched/catalog/catalog.parquet", "--configfile", "study.yaml")


def test_a_study_is_planned_alike_from_nothing_and_with_its_data(server: Server, project: Path) -> None:
    nothing = planned(project, *CATALOG)
    assert sum(name.startswith("fetch_") for name in nothing) == 3
    assert "(100%) done" in failing(project, *CATALOG, "--cores", 2).stdout
    with_data = planned(project, *CATALOG, "--forceall")
    assert with_data == {name: n for name, n in nothing.items() if not name.startswith("fetch_")}
    assert "Nothing to be done" in snakemake(project, "-n", *CATALOG)
    assert {path.name for path in (project / "data" / "x").iterdir()} == {"truth.csv", "more.csv", "jpeg"}


def test_no_run_deletes_or_replaces_what_the_user_has(server: Server, project: Path) -> None:
    mine = project / "data" / "x" / "truth.csv"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"image,MEL,NV\nISIC_1,1,1\n")
    for options in ((), ("--forceall", "--rerun-incomplete")):
        done = failing(project, *CATALOG, "--cores", 2, *options)
        assert done.returncode != 0 and "ISIC_1" in done.stdout
        (project / "scripts" / "fetch.py").write_text((project / "scripts" / "fetch.py").read_text() + "\n")
    assert mine.read_bytes() == b"image,MEL,NV\nISIC_1,1,1\n"
    assert not [path for path in server.asked if path is not None] and len(server.asked) == 2


def test_the_official_study_is_planned_from_nothing(project: Path) -> None:
    counts = planned(project, "--configfile", "studies/isic2020.yaml")
    assert sum(name.startswith("fetch_data_isic2020") for name in counts) == 3 and counts["prepare_shard"] == 8
    assert {name for name in counts if name.startswith("fetch_data_weights")} == {
        "fetch_data_weights_resnest269_0cc87c48_pth",
        "fetch_data_weights_efficientnet_b2_rwightman_c35c1473_pth",
        "fetch_data_weights_efficientnet_b4_rwightman_23ab8bcd_pth",
        "fetch_data_weights_efficientnet_b6_lukemelas_24a108a5_pth",
        "fetch_data_weights_tf_efficientnet_b6_ns_51548356_pth",
    }
    (project / "data" / "weights").mkdir(parents=True)
    (project / "data" / "weights" / "resnest269-0cc87c48.pth").touch()
    assert "fetch_data_weights_resnest269_0cc87c48_pth" not in planned(project, "--configfile", "studies/isic2020.yaml")


def test_offline_the_workflow_says_what_to_put_where(server: Server, project: Path) -> None:
    study = yaml.safe_load((project / "study.yaml").read_text())
    study["fetch"]["data/x/jpeg"]["url"] = f"{server.url}/nowhere.zip"
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    done = failing(project, *CATALOG, "--cores", 2)
    assert done.returncode != 0
    assert f"download {server.url}/nowhere.zip elsewhere and unzip its files into data/x/jpeg" in done.stdout
