"""Zips taken apart safely: no file lands outside its folder, no link, no bomb, all of it or nothing."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melanoma.common.cli import progress
from melanoma.common.errors import InputError, listing
from melanoma.common.files import atomic_path

LARGEST_RATIO = 100  # of what a zip holds to its own size; images hardly shrink, tables to a tenth


def unpack_folder(archive: Path, folder: Path) -> None:
    """Put all files of a zip into `folder`, without the folders they were in; it appears when it is complete.

    Raises InputError where the zip is damaged, too large, or holds a name that is absolute, leads outside or is there
    twice, a link or an encrypted file; nothing is unpacked then.
    """
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    with _opened(archive) as zipped:
        files = _checked(zipped, folder.parent)
        temporary.mkdir(parents=True)
        try:
            for name, info in progress(files.items(), f"unpacking {folder.name}", len(files)):
                _copy(zipped, info, temporary / name)
            os.sync()
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def unpack_file(archive: Path, path: Path) -> None:
    """Take the file named as `path` out of a zip; raise InputError as unpack_folder, and where there is none."""
    with _opened(archive) as zipped:
        files = _checked(zipped, path.parent)
        if path.name not in files:
            raise InputError(f"the zip has no file {path.name}. It has:\n{listing(files)}")
        with atomic_path(path) as temporary:
            _copy(zipped, files[path.name], temporary)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as zipped:
            yield zipped
    # zipfile raises NotImplementedError for a compression or encryption that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(f"not a whole zip: {error}. Run again to download it anew, or correct its address") from error


def _checked(zipped: zipfile.ZipFile, parent: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the zip's files by their names without folders; raise InputError that lists all that is not allowed."""
    files: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    faults = []
    for info in zipped.infolist():
        fault = _fault(info)
        name = info.filename.rsplit("/", 1)[-1]
        if fault:
            faults.append(f"{info.orig_filename!r}: {fault}")
        elif info.is_dir() or name.startswith(".") or info.filename.startswith("__MACOSX/"):
            continue
        elif name.lower() in seen:
            faults.append(f"{info.filename!r}: another file of the zip has the same name")
        else:
            files[name] = info
            seen.add(name.lower())
    if faults:
        raise InputError(f"the zip holds what is not allowed, and nothing of it was unpacked:\n{listing(faults)}")
    size = sum(info.file_size for info in files.values())
    packed = Path(zipped.filename).stat().st_size
    if size > LARGEST_RATIO * packed:
        raise InputError(f"the zip has {packed} bytes and would unpack to {size}: a bomb. Nothing was unpacked")
    free = shutil.disk_usage(parent).free
    if size > free:
        raise InputError(f"{parent}: {size} bytes to unpack and {free} free. Make room")
    return files


def _fault(info: zipfile.ZipInfo) -> str | None:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or name[1:2] == ":":
        return "an absolute name"
    if ".." in name.split("/"):
        return "leads outside the folder"
    if "\\" in name or not name.isprintable():
        return "a name with a backslash or a control character"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or special file"
    if info.flag_bits & 1:
        return "encrypted"
    return None


def _copy(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """Copy a file out of the zip; its checksum is verified on the way, and it cannot grow beyond its stated size."""
    with zipped.open(info) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)
