"""The file system of the run: not writable, without locks, slow."""

import errno
import os
import tempfile
import time

import pytest

from melanoma.doctor import file_system
from melanoma.doctor.file_system import check_file_system


def refuse(number):
    def refused(*arguments):
        raise OSError(number, os.strerror(number))

    return refused


def test_a_good_file_system_has_no_fault_and_nothing_is_left_there(tmp_path):
    assert {finding.level for finding in check_file_system(tmp_path)} <= {"ok", "warning"}
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", refuse(errno.EROFS))  # root may write anywhere else
    (finding,) = check_file_system(tmp_path)
    assert finding.level == "FAULT" and "cannot be written: Read-only file system" in finding.text
    assert "--directory FOLDER" in finding.cure


@pytest.mark.parametrize("number", [errno.ENOLCK, 524])
@pytest.mark.parametrize("call", ["lockf", "flock"])
def test_a_file_system_without_locks_is_enough_unless_locks_are_demanded(tmp_path, monkeypatch, number, call):
    monkeypatch.setattr(file_system.fcntl, call, refuse(number))
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    finding = check_file_system(tmp_path)[0]
    assert finding.level == "warning" and f"error {number}" in finding.text and "-o flock" in finding.cure
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "TRUE")
    finding = check_file_system(tmp_path)[0]
    assert finding.level == "FAULT" and finding.cure == "unset HDF5_USE_FILE_LOCKING"


def test_a_slow_file_system(tmp_path, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    finding = check_file_system(tmp_path)[1]
    assert finding.level == "warning" and "1000.0 ms to write" in finding.text and "latency-wait" in finding.cure
