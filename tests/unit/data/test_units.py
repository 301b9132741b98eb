"""The unit of a study is what its tables name: patients, or else lesions, or else images."""

import pandas as pd
import pytest

from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.data.units import count_units, patients_notice, unit, weakest


def catalog(folder, **tables: str) -> pd.DataFrame:
    """Read tables of layout isic: header image,lesion_id,patient_id,target."""
    sources = []
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(f"isic_id,lesion_id,patient_id,target\n{rows}")
        sources.append({"name": name, "layout": "isic", "table": f"{folder}/{name}.csv", "images": None})
    return build_catalog(Data(sources=sources))[0]


PATIENTS = "a1,,p1,0\na2,,p1,1\na3,,p2,0\n"
LESIONS = "b1,l1,,0\nb2,l1,,0\nb3,l2,,1\n"
IMAGES = "c1,,,0\nc2,,,1\n"


@pytest.mark.parametrize(
    ("tables", "expected", "count"),
    [
        ({"a": PATIENTS}, "patient", 2),
        ({"b": LESIONS}, "lesion", 2),
        ({"c": IMAGES}, "image", 2),
        ({"a": PATIENTS, "b": LESIONS}, "lesion", 4),
        ({"b": LESIONS, "c": IMAGES}, "lesion", 4),
        ({"a": PATIENTS, "c": IMAGES}, "image", 4),
    ],
)
def test_the_unit_is_a_patient_only_if_every_row_names_one(tmp_path, tables, expected, count):
    rows = catalog(tmp_path, **tables)
    assert unit(rows) == expected and count_units(rows) == count
    assert rows.groupby("source")["unit"].nunique().tolist() == [1] * len(tables)


def test_each_source_is_logged_by_its_own_unit(tmp_path, caplog):
    caplog.set_level("INFO")
    catalog(tmp_path, a=PATIENTS, b=LESIONS)
    assert "a: 3 images, 1 melanomas, 2 patients" in caplog.text
    assert "b: 3 images, 1 melanomas, 2 lesions" in caplog.text


def test_the_notice_counts_the_images_without_patient_and_says_what_follows(tmp_path):
    assert patients_notice(catalog(tmp_path, a=PATIENTS)) is None
    notice = patients_notice(catalog(tmp_path, a=PATIENTS, b=LESIONS, c=IMAGES))
    assert notice.startswith(
        "Patients are unknown for 5 of 8 images; the lesion stands in for 3, and the image stands in for 2."
    )
    assert "both in training and in the test" in notice and "intervals are too narrow" in notice


def test_predictions_of_another_program_have_patients_or_images():
    rows = pd.DataFrame({"image": ["a", "b"], "patient": ["p", "p"]})
    assert (unit(rows), count_units(rows)) == ("patient", 1)
    assert (unit(rows.assign(patient=None)), count_units(rows.assign(patient=None))) == ("image", 2)


def test_of_several_entries_the_unit_of_the_least_knowledge_counts():
    assert weakest({"a": {"unit": "patient"}, "b": {"unit": "lesion"}}) == "lesion"
