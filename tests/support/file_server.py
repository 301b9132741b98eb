"""A local file server that fails on request, and downloads from it."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from melanoma.common.errors import InputError
from melanoma.config.data import Download
from melanoma.downloads.download import fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A local file server that fails on request; `asked` lists the Range of each request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []  # number of bytes that each of the next answers sends before it ends
        self.stalls: list[int] = []  # number of bytes after which each of the next answers stalls
        self.statuses: list[int] = []  # of the next answers
        self.success = 200
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
            request.send_response(self.success)
        for name, value in self.headers.items():
            request.send_header(name, value)
        if self.tells_length:
            request.send_header("Content-Length", str(total - start))
        request.end_headers()
        if self.stalls:
            request.wfile.write(content[start:][: self.stalls.pop(0)])
            time.sleep(1)
            return
        request.wfile.write(content[start:][: self.cuts.pop(0)] if self.cuts else content[start:])


@contextmanager
def serving() -> Iterator[Server]:
    """Serve `CONTENT` as /file, at `url`, for as long as it takes."""
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    with pytest.MonkeyPatch.context() as patched, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        patched.setenv("no_proxy", "*")
        http.handle_error = lambda *_: None  # a client may leave early
        told.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        told.files["/file"] = CONTENT
        yield told
        http.shutdown()


def get(server: Server, path: Path, name: str = "/file", **options: Any) -> None:
    fetch(Download(url=server.url + name, **options), path, attempts=3, pause=0.0)


def refused(server: Server, path: Path, *parts: str, name: str = "/file", **options: Any) -> None:
    """Check that a download raises an error with all `parts`, and writes nothing at `path`."""
    with pytest.raises(InputError) as caught:
        get(server, path, name, **options)
    for part in (server.url + name, *parts):
        assert part in str(caught.value), str(caught.value)
    assert not path.exists()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
