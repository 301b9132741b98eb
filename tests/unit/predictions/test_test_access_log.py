"""The test-set access log: each access to test labels is a line, whoever writes at once and whatever is run again."""

import argparse
import errno
import json
import logging
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from melanoma.common.errors import InputError
from melanoma.config.facts import configuration_digest
from melanoma.config.study import resolve
from melanoma.predictions import test_access_log
from melanoma.predictions.test_access_log import (
    accesses,
    append,
    open_external_labels,
    open_test_labels,
    read_access_log,
    test_digest,
    warn_of_many,
)
from minimal_config import MINIMAL, with_

test_digest.__test__ = False
LABELS = pd.DataFrame({"image": ["b", "a"], "target": [1, 0]})


def entries(*configurations: str, test: str = "t") -> list[dict[str, str]]:
    return [{"test": test, "configuration": each} for each in configurations]


def write_many(path: Path, writer: int, count: int) -> None:
    for number in range(count):
        append(path, {"reader": f"{writer}-{number}", "models": ["m"] * 50})


def test_each_reading_says_when_what_by_which_code_and_for_what(tmp_path):
    LABELS.to_parquet(tmp_path / "labels.parquet")
    args = argparse.Namespace(test_access_log=tmp_path / "deep" / "test_access_log.jsonl", configuration="abc")
    for _ in range(2):
        labels = open_test_labels(tmp_path / "labels.parquet", "evaluate", ["cnn", "mlp"], args)
    assert labels["target"].tolist() == [1, 0]
    first, second = read_access_log(args.test_access_log)
    assert set(first) == {"time", "commit", "changed", "reader", "test", "configuration", "models"}
    assert (second["reader"], second["configuration"], second["models"]) == ("evaluate", "abc", ["cnn", "mlp"])


def test_each_external_test_has_a_line_of_its_own(tmp_path):
    sources = LABELS.assign(source="clinic"), LABELS.assign(source="other", image=["c", "d"])
    pd.concat(sources).to_parquet(tmp_path / "labels.parquet")
    args = argparse.Namespace(test_access_log=tmp_path / "test_access_log.jsonl", configuration="abc")
    assert open_external_labels(tmp_path / "labels.parquet", ["cnn"], args)["image"].tolist() == ["b", "a", "c", "d"]
    lines = read_access_log(args.test_access_log)
    assert [(each["reader"], each["test"]) for each in lines] == [("external", test_digest(each)) for each in sources]


def test_writers_at_the_same_time_lose_no_line_and_tear_none(tmp_path, monkeypatch):
    monkeypatch.setattr(test_access_log, "commit", lambda: None)
    path = tmp_path / "test_access_log.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(path, writer, 25)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = [entry["reader"] for entry in read_access_log(path)]
    assert sorted(found) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(25))


def test_a_line_cut_short_is_one_reading_and_spoils_no_other(tmp_path):
    path = tmp_path / "test_access_log.jsonl"
    append(path, {"test": "t", "configuration": "a"})
    path.write_bytes(path.read_bytes()[:-20])
    append(path, {"test": "t", "configuration": "b"})
    damaged, whole = read_access_log(path)
    assert "damaged" in damaged and whole["configuration"] == "b"
    assert accesses([damaged, whole], "t")["accesses"] == 2


def test_without_locks_of_the_file_system_lines_are_still_added(tmp_path, monkeypatch):
    def refused(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(test_access_log, "fcntl", SimpleNamespace(lockf=refused, LOCK_EX=0))
    append(tmp_path / "test_access_log.jsonl", {"reader": "x"})
    assert read_access_log(tmp_path / "test_access_log.jsonl")[0]["reader"] == "x"


def test_nothing_is_lost_of_what_was_there(tmp_path):
    path = tmp_path / "test_access_log.jsonl"
    append(path, {"reader": "first"})
    before = path.read_bytes()
    append(path, {"reader": "second"})
    assert path.read_bytes().startswith(before) and path.stat().st_size > len(before)


def test_a_test_is_the_same_whatever_the_order_of_its_rows_and_another_by_one_label():
    assert test_digest(LABELS) == test_digest(LABELS.iloc[::-1])
    assert test_digest(LABELS) != test_digest(LABELS.assign(target=[1, 1]))


def test_accesses_count_those_of_one_test_and_its_different_configurations():
    mixed = entries("a", "a", "b") + entries("c", test="other")
    assert accesses(mixed, "t") == {"accesses": 3, "configurations": 2}


def test_many_configurations_are_warned_of_and_few_are_not(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_many(entries("a", "b", "b"), "t", 2)
        assert not caplog.messages
        warn_of_many(entries("a", "b", "c"), "t", 2)
    assert "read for 3 configurations, more than 2 (evaluate.max_test_configurations)" in caplog.messages[0]


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("models.cnn.resources", {"mem_mb": 9000}, True),
        ("models.cnn.checkpoint_minutes", 3, True),
        ("evaluate", {"replicates": 500}, True),
        ("models.cnn.seed", 2, False),
        ("models.cnn.tta", {"name": "flips"}, False),
        ("split", {"seed": 2}, False),
        ("fusions", {"f": {"members": ["cnn", "mlp"]}}, False),
    ],
)
def test_what_decides_a_prediction_is_another_configuration_and_memory_is_none(path, value, same):
    before, after = (configuration_digest(resolve(config)) for config in (MINIMAL, with_(path, value)))
    assert (before == after) == same


def test_a_line_of_the_access_log_is_json(tmp_path):
    append(tmp_path / "l.jsonl", {"reader": "x"})
    assert json.loads((tmp_path / "l.jsonl").read_text())["reader"] == "x"


def test_a_changed_byte_of_a_line_is_noticed_and_the_line_still_counts(tmp_path, caplog):
    path = tmp_path / "l.jsonl"
    append(path, {"reader": "x", "test": "t", "configuration": "a"})
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert accesses(read_access_log(path), "t")["accesses"] >= 1
        assert all("damaged" in entry for entry in read_access_log(path))
    assert f"{path}, line 1 is damaged" in caplog.text


def test_a_line_that_a_full_disk_cuts_is_an_error_and_counts_as_an_access(tmp_path, monkeypatch):
    def full(file: int, data: bytes) -> int:
        if os.fstat(file).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(file, data[:20])

    path = tmp_path / "test_access_log.jsonl"
    with monkeypatch.context() as disk:
        disk.setattr(test_access_log, "os", SimpleNamespace(**vars(os) | {"write": full}))
        with pytest.raises(InputError, match=r"test_access_log\.jsonl cannot be written: No space left"):
            append(path, {"reader": "evaluate"})
    append(path, {"reader": "evaluate"})
    cut, whole = read_access_log(path)
    assert "damaged" in cut and whole["reader"] == "evaluate"
