"""Every bad table is reported with its file, place, expectation and remedy, or its bad rows are dropped."""

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from effort import drawn
from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog

KAGGLE = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
GOOD = {
    "a": "a,p1,male,45,torso,nevus,benign,0",
    "b": "b,p2,female,50,head/neck,melanoma,malignant,1",
    "c": "c,p3,,,,unknown,benign,0",
    "d": "d,p4,male,60,torso,melanoma,malignant,1",
}
HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization"
ISIC_2019 = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
COLUMNS = {"image": "file", "target": "label", "patient": "case"}


@dataclass(frozen=True)
class Bad:
    """A bad table, parts of its message, and the images that are dropped (None: the table is refused)."""

    text: str | bytes
    says: tuple[str, ...]
    dropped: tuple[str, ...] | None = None
    source: dict[str, Any] = field(default_factory=dict)
    metadata: str | None = None
    other: str | None = None  # the Kaggle table of a second source


def kaggle(**changed: str) -> str:
    return "\n".join([KAGGLE, *(GOOD | changed).values()])


def cell(column: str, value: str, row: str = "c") -> str:
    """Return the good table with one cell changed."""
    cells = dict(zip(KAGGLE.split(","), GOOD[row].split(","), strict=True)) | {column: value}
    return kaggle(**{row: ",".join(cells.values())})


ONE_HOT = {"layout": "isic"}
OWN = {"layout": "columns", "columns": COLUMNS}
BAD = {
    "empty file": Bad("", ("the table is empty", "Give the complete table")),
    "header alone": Bad(KAGGLE, ("a header and no row",)),
    "blank lines alone": Bad("\n\n\n", ("the table is empty",)),
    "Latin-1": Bad(kaggle().replace("nevus", "nävus").encode("latin-1"), ("line 2 is not UTF-8", "torso,nävus")),
    "a workbook": Bad(b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xe1\xff", ("an Excel or OpenDocument workbook",)),
    "an old workbook": Bad(b"\xd0\xcf\x11\xe0\xa1\xb1", ("an Excel workbook (.xls)", "save it as CSV in UTF-8")),
    "a web page": Bad("<!DOCTYPE html>\n<html><body>404</body></html>", ("a web page", "Download the table itself")),
    "a Git LFS pointer": Bad("version https://git-lfs.github.com/spec/v1\noid sha256:1", ("a Git LFS pointer",)),
    "a damaged gzip": Bad(gzip.compress(kaggle().encode())[:-9], ("a damaged gzip file", "Fetch it again")),
    "Parquet named CSV": Bad(b"PAR1", ("a Parquet table", "Name it .parquet")),
    "a NUL character": Bad(kaggle(c="c\0" + GOOD["c"][1:]), ("line 4 has a NUL character: 'c\\x00,p3",)),
    "half of UTF-16": Bad(kaggle().encode("utf-16")[:-1], ("damaged UTF-16 at byte",)),
    "two columns without a name": Bad(
        "\n".join(f"{line},{end}" for line, end in zip(kaggle().split("\n"), [",", "1,2", ",", ",", ","], strict=True)),
        ("two columns are named ''",),
    ),
    "open quote": Bad(kaggle(c='c,"p3,,,,unknown,benign,0'), ("line 5 is not valid CSV", "Save the table as CSV")),
    "missing column": Bad(
        kaggle().replace("patient_id", "PatientID"), ("no column patient_id (is PatientID meant?)", "Rename or add")
    ),
    "repeated column": Bad(kaggle().replace("diagnosis,", "sex,"), ("two columns are named sex", "Remove or")),
    "no labels": Bad("isic_id,sex\na,male", ("no column target or diagnosis", "MEL, NV"), source=ONE_HOT),
    "one class": Bad("\n".join([KAGGLE, GOOD["a"], GOOD["c"]]), ("0 melanomas among 2", "expected both classes")),
    "wrong layout": Bad(kaggle(), ("no column image_id", "give the layout"), source={"layout": "ham10000"}),
    "Parquet that is none": Bad(b"PAR1 no", ("not a Parquet table",), source={"table": "t.parquet"}),
    "short row": Bad(kaggle(c="c,p3,,,unknown,benign,0"), ("line 4, image c: '7 fields, expected 8", "comma"), ("c",)),
    "long row": Bad(kaggle(c=GOOD["c"] + ",1"), ("line 4, image c: '9 fields, expected 8", "quote"), ("c",)),
    "no patient": Bad(cell("patient_id", ""), ("patient_id: is empty; fill it in or remove the row",), ("c",)),
    "an image with a terminal's command": Bad(
        kaggle(c="c\x1b[2J" + GOOD["c"][1:]), (r"line 4, image 'c\x1b[2J'", "has a control character"), ("c\x1b[2J",)
    ),
    "a patient that turns the direction": Bad(
        cell("patient_id", "p\u202e1"), ("line 4, image c: 'p\\u202e1'", "has a control character"), ("c",)
    ),
    "a patient with a tab": Bad(cell("patient_id", "q\t7"), ("has a control character",), ("c",)),
    "no image": Bad(cell("image_name", ""), ("image_name: is empty; fill it in or remove the row", "line 4"), ("c",)),
    "no target": Bad(cell("target", ""), ("target: expected 0 (benign) or 1 (melanoma)",), ("c",)),
    "target of 2": Bad(cell("target", "2"), ("line 4, image c: '2'", "remove the row"), ("c",)),
    "target in words": Bad(cell("target", "benign"), ("target: expected 0 (benign) or 1",), ("c",)),
    "age of 200": Bad(cell("age_approx", "200"), ("expected years from 0 to 120", "leave it empty"), ("c",)),
    "age in words": Bad(cell("age_approx", "45-50"), ("line 4, image c: '45-50'", "from 0 to 120"), ("c",)),
    "infinite age": Bad(cell("age_approx", "inf"), ("expected years from 0 to 120",), ("c",)),
    "unknown sex": Bad(cell("sex", "femal"), ("expected male, female or nothing; is 'female' meant?",), ("c",)),
    "unknown site": Bad(cell("anatom_site_general_challenge", "toros"), ("is 'torso' meant?", "`values`"), ("c",)),
    "unknown diagnosis": Bad(cell("diagnosis", "nevvus"), ("is 'nevus' meant?", "of the vocabulary"), ("c",)),
    "strange diagnosis": Bad(cell("diagnosis", "xyzzy"), ("of the vocabulary or nothing; correct",), ("c",)),
    "melanoma of target 0": Bad(cell("diagnosis", "melanoma"), ("contradicts target 0", "correct"), ("c",)),
    "nevus of target 1": Bad(cell("diagnosis", "nevus", "d"), ("contradicts target 1", "correct"), ("d",)),
    "malignant of target 0": Bad(cell("benign_malignant", "malignant"), ("contradicts the target of the row",), ("c",)),
    "repeated image": Bad(kaggle(c=GOOD["a"]), ("in an earlier row already", "line 4, image a"), ("a",)),
    "image without a file": Bad(cell("image_name", "lost"), ("no such image file in", "fetch"), ("lost",)),
    "image of two sources": Bad(
        kaggle(),
        ("other.csv: image_name: this image is in source bad already; remove it", "line 2, image a", "image d"),
        ("a", "d"),
        other="\n".join([KAGGLE, GOOD["a"], GOOD["d"], "x,p8,,,,,benign,0", "y,p9,,,,melanoma,malignant,1"]),
    ),
    "a word for the target": Bad(
        f"{KAGGLE}\n{GOOD['a']}\n{GOOD['d']}\n" + GOOD["a"].replace("a,", "x,", 1).rsplit(",", 1)[0] + ",malignent",
        ("under `values` of the source", "target: {benign: 0, melanoma: 1}", "line 4, image x: 'malignent'"),
        ("x",),
    ),
    "two classes at once": Bad(
        f"{ISIC_2019}\na,1,0,0,0,0,0,0,0,0\nb,0,1,0,0,0,0,0,0,0\nc,1,1,0,0,0,0,0,0,0",
        ("expected 1 in one class and 0 in the others", "line 4, image c: 'MEL=1, NV=1'"),
        ("c",),
        source=ONE_HOT,
    ),
    "no class": Bad(
        f"{ISIC_2019}\na,1,0,0,0,0,0,0,0,0\nb,0,1,0,0,0,0,0,0,0\nc,0,0,0,0,0,0,0,0,0",
        ("line 4, image c: 'all 0'",),
        ("c",),
        source=ONE_HOT,
    ),
    "class in words": Bad(
        "image_id,melanoma,seborrheic_keratosis\na,1,0\nb,0,0\nc,yes,0",
        ("line 4, image c: 'melanoma=yes'",),
        ("c",),
        source=ONE_HOT,
    ),
    "no diagnosis and no target": Bad(
        "isic_id,diagnosis,benign_malignant\na,nevus,\nb,melanoma,malignant\nc,,malignant\nd,,benign",
        ("does not tell whether this is a melanoma", "line 4, image c"),
        ("c",),
        source=ONE_HOT,
    ),
    "unknown dx": Bad(
        f"{HAM}\nL1,a,mel,histo,50,male,back\nL2,b,nv,histo,50,male,back\nL3,c,nvv,histo,50,male,back",
        ("dx: expected a diagnosis of the vocabulary or nothing; is 'nevus' meant?",),
        ("c",),
        source={"layout": "ham10000"},
    ),
    "metadata with a bad cell": Bad(
        f"{ISIC_2019}\na,1,0,0,0,0,0,0,0,0\nb,0,1,0,0,0,0,0,0,0\nc,0,1,0,0,0,0,0,0,0",
        ("metadata.csv: age_approx: expected years", "line 2, image c: '500'"),
        ("c",),
        source=ONE_HOT,
        metadata="image,age_approx\nc,500\nb,50\na,50",
    ),
    "metadata with an image twice": Bad(
        f"{ISIC_2019}\na,1,0,0,0,0,0,0,0,0\nb,0,1,0,0,0,0,0,0,0\nc,0,1,0,0,0,0,0,0,0",
        ("is twice in", "metadata.csv; remove one of the two rows there"),
        ("c",),
        source=ONE_HOT,
        metadata="image,age_approx\nc,50\nc,60\na,50",
    ),
    "metadata without images": Bad(
        f"{ISIC_2019}\na,1,0,0,0,0,0,0,0,0\nb,0,1,0,0,0,0,0,0,0",
        ("no column isic_id, image_name, image_id, image or bcn_filename in", "metadata.csv"),
        source=ONE_HOT,
        metadata="id,age_approx\na,50",
    ),
    "own column that is not there": Bad(
        "file,lable,case\na,1,p\nb,0,q", ("no column label (is lable meant?)",), source=OWN
    ),
    "label not named": Bad(
        "file,label\na,1", ("layout columns needs `columns`",), source=OWN | {"columns": {"image": "file"}}
    ),
    "own word not mapped": Bad(
        "file,label,case\na.jpg,malignant,p\nb.jpg,benign,q\nc.jpg,bening,r",
        ("label: expected 0 (benign) or 1 (melanoma)", "line 4, image c: 'bening'"),
        ("c",),
        source=OWN | {"values": {"target": {"benign": 0, "malignant": 1}}},
    ),
}  # fmt: skip


def build(folder: Path, bad: Bad, policy: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    images = folder / "jpeg"
    images.mkdir()
    for name in "abcdxy":
        (images / f"{name}.jpg").touch()
    given = {"name": "bad", "layout": "kaggle", "table": "bad.csv"} | bad.source
    given |= {"images": str(images), "table": str(folder / given["table"])}
    content = bad.text if isinstance(bad.text, bytes) else bad.text.encode()
    Path(given["table"]).write_bytes(content)
    if bad.metadata:
        (folder / "metadata.csv").write_text(bad.metadata)
        given["metadata"] = str(folder / "metadata.csv")
    sources = [given]
    if bad.other:
        (folder / "other.csv").write_text(bad.other)
        sources.append(given | {"name": "other", "table": str(folder / "other.csv")})
    return build_catalog(Data(sources=sources, on_bad_row=policy))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_told_with_its_place_and_remedy(tmp_path: Path, name: str) -> None:
    bad = BAD[name]
    with pytest.raises(InputError) as caught:
        build(tmp_path, bad, "fail")
    for part in bad.says:
        assert part in str(caught.value), str(caught.value)
    assert (str(tmp_path) in str(caught.value)) or name in ("label not named", "one class")
    assert ("on_bad_row: drop" in str(caught.value)) == (bad.dropped is not None)


@pytest.mark.parametrize("name", [name for name, bad in BAD.items() if bad.dropped is None])
def test_a_table_that_is_bad_as_a_whole_is_refused_whatever_the_policy(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        build(tmp_path, BAD[name], "drop")


@pytest.mark.parametrize("name", [name for name, bad in BAD.items() if bad.dropped is not None])
def test_bad_rows_are_dropped_and_listed_where_the_policy_is_drop(tmp_path: Path, name: str) -> None:
    bad = BAD[name]
    catalog, problems = build(tmp_path, bad, "drop")
    dropped = problems[problems["action"] == "dropped"]
    told = bad.dropped if name != "no image" else (None,)
    assert tuple(None if pd.isna(image) else image for image in dropped["image"]) == told
    assert dropped["row"].notna().all() and catalog["image"].is_unique
    rows = len((bad.text + ("\n" + bad.other if bad.other else "")).splitlines()) - (2 if bad.other else 1)
    assert len(catalog) == rows - len(bad.dropped)


@pytest.mark.many_cases
def test_thousands_of_bad_cells_of_as_many_kinds_are_told_briefly_and_soon(tmp_path: Path) -> None:
    count = drawn(10_000, 100_000)
    rows = [f"n{n},p{n},male,50,torso,word{n},benign,0" for n in range(count)]
    with pytest.raises(InputError) as caught:
        build(tmp_path, Bad("\n".join([KAGGLE, *rows]), ()), "fail")
    assert f"{count} rows cannot be used" in str(caught.value)
    assert len(str(caught.value)) < 20_000
