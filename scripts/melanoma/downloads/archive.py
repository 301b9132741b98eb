"""Unpacks zips safely: no file outside its folder, no link, no decompression bomb, and all files or none."""

import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melanoma.common.cli import progress
from melanoma.common.errors import InputError, listing
from melanoma.common.files import atomic_path

LONGEST_NAME = 255  # bytes of a name on Linux
LARGEST_RATIO = 100  # of the unpacked size to the size of the zip; tables shrink to about a tenth, images hardly


def unpack_folder(archive: Path, folder: Path) -> None:
    """Unpack all files of a zip into `folder`, without their own folders. It appears when it is complete.

    Raises InputError, and unpacks nothing, if the zip is damaged or too large, or has a link, an encrypted file, an
    absolute name, a name that leads outside the folder, or a name twice.
    """
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    with _opened(archive) as zipped:
        files = _checked(zipped, archive, folder.parent)
        temporary.mkdir(parents=True)
        try:
            for name, info in progress(files.items(), f"unpacking {folder.name}", len(files)):
                _copy(zipped, info, temporary / name)
            os.sync()
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def unpack_file(archive: Path, path: Path) -> None:
    """Unpack the file with the name of `path`; raise InputError as `unpack_folder`, or if the zip lacks the file."""
    with _opened(archive) as zipped:
        files = _checked(zipped, archive, path.parent)
        if path.name not in files:
            raise InputError(f"the zip has no file {path.name}. Its files are:\n{listing(files)}")
        with atomic_path(path) as temporary:
            _copy(zipped, files[path.name], temporary)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as zipped:
            yield zipped
    except Exception as error:
        if not _is_damage(error):
            raise
        raise InputError(
            f"not a complete zip: {error}. Run again to download it again, or correct its address"
        ) from error


def _is_damage(error: Exception) -> bool:
    """Tell whether an error of zipfile is of a damaged zip: bz2 raises an OSError, but one without a number."""
    if isinstance(error, OSError):
        return error.errno is None
    # zipfile raises NotImplementedError for a compression that it does not know, and others for damaged headers.
    kinds = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, NotImplementedError)
    return isinstance(error, kinds)


def _checked(zipped: zipfile.ZipFile, archive: Path, parent: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a zip by their names without folders; raise InputError that lists all forbidden entries."""
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
        raise InputError(f"the zip has forbidden entries, and nothing was unpacked:\n{listing(faults)}")
    size = sum(info.file_size for info in files.values())
    packed = archive.stat().st_size
    if size > LARGEST_RATIO * packed:
        raise InputError(
            f"the zip has {packed} bytes and would unpack to {size}: a decompression bomb. Nothing was unpacked"
        )
    free = shutil.disk_usage(parent).free
    if size > free:
        raise InputError(f"{parent}: {size} bytes to unpack, and {free} are free. Free some space")
    return files


def _fault(info: zipfile.ZipInfo) -> str | None:
    name = info.orig_filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or name[1:2] == ":":
        return "an absolute name"
    if ".." in name.split("/"):
        return "leads outside the folder"
    if not name.rstrip("/"):
        return "no name"
    if max(len(os.fsencode(part)) for part in name.split("/")) > LONGEST_NAME:
        return f"a name of more than {LONGEST_NAME} bytes"
    if "\\" in name or not name.isprintable():
        return "a name with a backslash or a control character"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or special file"
    if info.flag_bits & 1:
        return "encrypted"
    return None


def _copy(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """Copy a file out of the zip. This verifies its checksum, and that it is not larger than stated."""
    with zipped.open(info) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)
