"""Downloads that resume after an interruption, are checked, and appear when they are complete."""

import hashlib
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

from melanoma.common.cli import log, progress
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_json
from melanoma.config.data import Download
from melanoma.downloads.archive import unpack_file, unpack_folder

CHUNK = 2**20
TIMEOUT = 60.0  # seconds without a byte
RETRIED = {408, 425, 429}  # and all of 500 and above
LONGEST_PAUSE = 60.0
WEB_PAGE = "the server sent a web page, not a file"
PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


class _Note(TypedDict, total=False):
    """An incomplete download: its address, its version, the size of the whole, and its own size when it was checked."""

    url: str
    validator: str | None
    total: int | None
    complete: int


class _Cut(Exception):
    """An attempt failed, and another one may succeed."""


def fetch(download: Download, path: Path, attempts: int = 5, pause: float = 1.0) -> None:
    """Download `path`, unless it exists already.

    The received bytes are in <path>.part, and their origin in <path>.part.json, until `path` is complete. The next call
    continues from them. After `attempts` in a row that receive nothing new, raises InputError that says what to
    download and where to put it. The pause between attempts begins with `pause` seconds and doubles each time.
    """
    if os.path.lexists(path):
        log.info("%s exists already", path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    _receive(download, path, part, attempts, pause)
    if download.unzip == "folder":
        _unpack(unpack_folder, part, path, download)
    elif download.unzip == "file":
        _unpack(unpack_file, part, path, download)
    else:
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    _forget(part)
    log.info("%s is complete", path)


def _receive(download: Download, path: Path, part: Path, attempts: int, pause: float) -> None:
    """Download until `part` is complete and checked."""
    if not download.url.startswith(("http://", "https://")):
        raise InputError(f"{download.url}: expected an address that begins with http:// or https://")
    best, failures = -1, 0
    while not _is_complete(download, part):
        try:
            _attempt(download, part)
            _check(download, part)
            _write_note(part, {**_read_note(part), "complete": part.stat().st_size})
        except _Cut as cut:
            size = part.stat().st_size if part.exists() else 0
            failures = 1 if size > best else failures + 1
            best = max(best, size)
            if failures >= attempts:
                raise InputError(f"{download.url}: cannot be downloaded: {cut}. {_by_hand(download, path)}") from cut
            wait = min(pause * 2 ** (failures - 1), LONGEST_PAUSE)
            log.warning("%s: %s; the next attempt is from byte %d, in %.0f s", download.url, cut, size, wait)
            time.sleep(wait)
        except urllib.error.HTTPError as error:
            raise InputError(
                f"{download.url}: the server answers {error.code} {error.reason}. Correct the address under `fetch` "
                f"in the configuration. {_by_hand(download, path)}"
            ) from error


def _attempt(download: Download, part: Path) -> None:
    """Receive the missing bytes of `part` in one request; raise _Cut if it ends early."""
    have, validator = _resumable(download, part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "melanoma-workflow"}
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(download.url, headers=headers), timeout=TIMEOUT) as answer:
            start, total = _extent(answer, have)
            if start and (_validator(answer) not in (None, validator) or _read_note(part).get("total") != total):
                _forget(part)
                raise _Cut("the file has changed on the server")
            _refuse_unexpected(download, answer, start, total, part)
            if start == 0:
                _forget(part)
                _write_note(part, {"url": download.url, "validator": _validator(answer), "total": total})
            size, most = start, total if download.bytes is None else download.bytes
            with part.open("rb+" if start else "wb") as file:
                file.seek(start)
                label = f"{part.name.removesuffix('.part')} (MB)"
                for chunk in progress(_chunks(answer), label, (total - start) // CHUNK + 1 if total else None):
                    file.write(chunk)
                    size = file.tell()
                    if most is not None and size > most:
                        raise _too_large(download, part, most)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # The server has no further byte: either `part` is complete, or it belongs to another version.
            if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                return
            _forget(part)
            raise _Cut("the file has changed on the server") from error
        if error.code in RETRIED or error.code >= 500:
            raise _Cut(f"the server answers {error.code} {error.reason}") from error
        raise
    except urllib.error.URLError as error:
        raise _Cut(f"no connection ({error.reason}): this machine may be offline") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _Cut(f"the connection was cut ({type(error).__name__})") from error
    except OSError as error:
        raise InputError(f"{part}: cannot be written: {error.strerror}") from error
    if total is not None and size < total:
        raise _Cut(f"the connection was cut after {size} of {total} bytes")


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield what comes, in parts of about `CHUNK` bytes, and the last part also if the connection is cut or stalls."""
    received = bytearray()
    try:
        while some := answer.read1(CHUNK):
            received += some
            if len(received) >= CHUNK:
                yield bytes(received)
                received.clear()
    except (http.client.HTTPException, OSError):
        yield bytes(received)
        raise
    yield bytes(received)


def _resumable(download: Download, part: Path) -> tuple[int, str | None]:
    """Return how many bytes of `part` can be kept, and the validator (ETag or date) of the file they are from."""
    note = _read_note(part)
    validator = note.get("validator")
    if not part.exists() or note.get("url") != download.url or not (validator or download.sha256):
        return 0, None
    return part.stat().st_size, validator


def _validator(answer: http.client.HTTPResponse) -> str | None:
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _extent(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return the first byte of the answer in the file, and the size of the file, None if the server does not say it."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length")
        if length and not (length.isascii() and length.isdigit()):
            raise InputError(f"{answer.url}: the server states a size of {length!r} bytes. Correct the address")
        return 0, int(length) if length else None
    extent, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    if extent.partition("-")[0] != str(have):
        raise _Cut(f"the server sent bytes {extent}, not those from {have}")
    return have, int(total) if total.isdigit() else None


def _refuse_unexpected(
    download: Download, answer: http.client.HTTPResponse, start: int, total: int | None, part: Path
) -> None:
    """Raise InputError before any byte is read, if the answer cannot be the file."""
    if answer.status not in (200, 206):
        raise InputError(f"{download.url}: the server answers {answer.status} and sends no file. Correct the address")
    if answer.headers.get_content_type() == "text/html":
        raise InputError(f"{download.url}: {WEB_PAGE}. Correct its address under `fetch`")
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise InputError(
            f"{download.url}: the server sends the file as {encoding!r}, not plainly. Name another address"
        )
    if download.bytes is not None and total is not None and total != download.bytes:
        _forget(part)
        raise InputError(
            f"{download.url}: the server has {total} bytes, expected {download.bytes}. "
            "Correct `bytes` or the address under `fetch` in the configuration"
        )
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise InputError(f"{part.parent}: {total - start} bytes to download, and {free} are free. Free some space")


def _check(download: Download, part: Path) -> None:
    """Check size and hash of `part`; if they are wrong, delete it and raise InputError."""
    size = part.stat().st_size
    with part.open("rb") as file:
        start = file.read(1000)
    fault = None
    if PAGE.match(start):
        fault = WEB_PAGE
    elif not size and download.bytes != 0:
        fault = "the file is empty"
    elif download.bytes is not None and size != download.bytes:
        fault = f"{size} bytes received, expected {download.bytes}"
    elif download.sha256:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(download.sha256.lower()):
            fault = f"its SHA-256 is {digest}, expected {download.sha256}"
    if fault:
        _forget(part)
        raise InputError(
            f"{download.url}: {fault}. Run again. If the error stays, the server has another file: correct the "
            "address, `bytes` or `sha256` under `fetch` in the configuration"
        )


def _too_large(download: Download, part: Path, most: int) -> InputError:
    """Forget what was received, and return the error of a server that does not stop."""
    _forget(part)
    return InputError(f"{download.url}: the server sends more than {most} bytes. Correct `bytes` or the address")


def _unpack(unpack: Callable[[Path, Path], None], part: Path, path: Path, download: Download) -> None:
    """Unpack a zip. If this fails, delete it, so that the next run downloads it again."""
    try:
        unpack(part, path)
    except InputError as error:
        _forget(part)
        raise InputError(f"{download.url}: {error}") from error


def _is_complete(download: Download, part: Path) -> bool:
    note = _read_note(part)
    expected = (note.get("url"), note.get("complete"))
    return part.exists() and expected == (download.url, part.stat().st_size)


def _read_note(part: Path) -> _Note:
    try:
        note: _Note = read_json(_note_path(part))
    except (FileNotFoundError, InputError):
        return {}
    return note


def _write_note(part: Path, note: _Note) -> None:
    write_json(_note_path(part), note)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _by_hand(download: Download, path: Path) -> str:
    """Return what to do on a machine without a network."""
    what = {None: "put it at", "file": f"unzip it and put its {path.name} at", "folder": "unzip its files into"}
    return f"Or download {download.url} elsewhere and {what[download.unzip]} {path}"
