"""Tags of DICOM files fill what the table lacks, and what they contradict is a warning."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from dicom_files import dicom
from melanoma.common.errors import InputError
from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from pictures import smooth

COLUMNS = {"image": "image", "patient": "case", "sex": "sex", "age": "age", "target": "target"}


def test_tags_fill_missing_cells_and_are_compared_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    tags = {"a": ("7.0", "F", "045Y"), "b": ("8", "M", "018M"), "c": ("", "O", "")}
    for name, (patient, sex, age) in tags.items():
        (tmp_path / "images" / f"{name}.dcm").write_bytes(dicom(smooth(60, 40), patient=patient, sex=sex, age=age))
    (tmp_path / "t.csv").write_text("image,case,sex,age,target\na,,,,1\nb,8,female,,0\nc,9,,70,0\n")
    source = {"name": "s", "layout": "columns", "columns": COLUMNS, "table": str(tmp_path / "t.csv")}
    data = Data(sources=[source | {"images": str(tmp_path / "images")}])
    if not find_spec("pydicom"):
        with pytest.raises(InputError, match=r"a\.dcm: a DICOM file, which needs a package: pip install pydicom"):
            build_catalog(data)
        return
    catalog, issues = build_catalog(data)
    assert catalog["patient"].tolist() == ["s:7", "s:8", "s:9"]
    assert catalog["sex"].fillna("none").tolist() == ["female", "female", "none"]
    assert catalog["age"].tolist() == [45, 1.5, 70]
    warned = issues.loc[issues["action"] == "warning", "problem"].tolist()
    assert "1 image(s): the tag of the DICOM file says another sex" in warned
    assert "2 image(s): read from the DICOM file" in issues.loc[issues["column"] == "age", "problem"].tolist()
