"""The record of a study tells which of its files have changed since they were made."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from melanoma.common.errors import InputError
from melanoma.snakefile.records import METADATA, keep_record, verified

RESULTS = Path("results/tiny")
FILES = ("split/split.parquet", "train/a b/history.csv", "demo/jpeg/1.jpg")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a study and Snakemake's record of them; the folder demo/jpeg is one output."""
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("image,target\n")
    METADATA.mkdir(parents=True)
    for name in FILES:
        (RESULTS / name).parent.mkdir(parents=True)
        (RESULTS / name).write_bytes(bytes(1000))
        output = RESULTS / ("demo/jpeg" if name.startswith("demo") else name)
        made_by = json.dumps({"input": ["table.csv"]})
        (METADATA / urlsafe_b64encode(str(output).encode()).decode()).write_text(made_by)
    keep_record(RESULTS)


def test_an_unchanged_study_is_whole(study: None) -> None:
    assert set(verified(RESULTS)) == {f"{RESULTS}/{name}" for name in (*FILES[:2], "demo/jpeg")}


@pytest.mark.parametrize(("name", "shown"), list(zip(FILES, (*FILES[:2], "demo/jpeg"), strict=True)))
def test_a_flipped_byte_is_noticed_in_a_file_and_in_a_folder(study: None, name: str, shown: str) -> None:
    (RESULTS / name).write_bytes(bytes(500) + b"\1" + bytes(499))
    with pytest.raises(InputError) as raised:
        verified(RESULTS)
    assert f"  - {RESULTS}/{shown}\n" in str(raised.value) and "--forcerun" in str(raised.value)
    assert str(raised.value).count("  - ") == 1


def test_every_damaged_file_is_named_as_a_shell_takes_it(study: None) -> None:
    for name in FILES:
        (RESULTS / name).write_bytes(b"")
    with pytest.raises(InputError, match=r"3 file\(s\)[\s\S]*--forcerun .*'results/tiny/train/a b/history.csv'"):
        verified(RESULTS)


def test_another_table_and_a_lost_record_are_named(study: None) -> None:
    Path("table.csv").write_text("image,target\na,1\n")
    with pytest.raises(InputError, match=r"other versions of these files[\s\S]*table\.csv"):
        verified(RESULTS)
    (RESULTS / "record.json").unlink()
    with pytest.raises(InputError, match=r"record\.json: no such file"):
        verified(RESULTS)
