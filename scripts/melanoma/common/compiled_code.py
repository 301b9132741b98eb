"""The files in which Python keeps compiled modules: on a full disk, none that is cut short."""

from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path


def keep_whole_files_only() -> None:
    """Let imports remove a compiled file of which only a part could be written.

    Python before 3.12.8 and 3.13.1 keeps such a file (cpython issue 126606). Each later import of its module then
    fails with "EOFError: marshal data too short", also when the disk has room again.
    """
    write = SourceFileLoader.set_data

    def write_whole(loader: SourceFileLoader, path: str, data: bytes, *, _mode: int = 0o666) -> None:
        write(loader, path, data, _mode=_mode)
        with suppress(OSError):
            if Path(path).stat().st_size < len(data):
                Path(path).unlink()

    SourceFileLoader.set_data = write_whole  # type: ignore[assignment, method-assign]
