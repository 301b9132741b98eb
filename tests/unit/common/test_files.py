"""A file is written whole or not at all, whatever happens to the job that writes it."""

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from melanoma.common.errors import InputError
from melanoma.common.files import atomic_path, write_bytes


def write_and_be_killed(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the n")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}: a folder. Give the name of a file"):
        write_bytes(tmp_path, b"page")


def test_what_a_killed_job_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path, other = tmp_path / "fold[0].pt", tmp_path / ".fold0.pt.12.tmp"
    other.touch()
    write_bytes(path, b"old")
    killed = get_context("fork").Process(target=write_and_be_killed, args=(path,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 3
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new" and set(tmp_path.iterdir()) == {path, other}


def test_of_two_that_write_at_once_the_later_to_begin_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(FileNotFoundError), atomic_path(path) as temporary:
        temporary.write_bytes(b"an older job's")
        write_bytes(path, b"a newer job's")
    assert path.read_bytes() == b"a newer job's" and list(tmp_path.iterdir()) == [path]
