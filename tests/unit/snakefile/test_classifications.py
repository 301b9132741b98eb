"""The jobs of classifications: what they wait for, what they are given, and what is refused before any of them."""

import pytest

from melanoma.common.errors import InputError
from melanoma.common.files import write_json
from melanoma.config.study import resolve
from melanoma.snakefile.classifications import Classifications
from minimal_config import MINIMAL

OWN = "results/mine/bundle"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "new.csv").touch()
    write_json(tmp_path / "bundles/b/bundle.json", {"thresholds": {"youden": 0.5, "f2": 0.1}})


def classifications(*, alone=True, **new):
    new = {"bundle": "bundles/b/", "images": "photographs"} | new
    return Classifications.from_study(
        resolve(({"study": "mine"} if alone else MINIMAL) | {"classify": {"new": new}}), OWN
    )


def test_a_job_depends_on_bundle_images_and_table_and_its_command_has_what_is_given():
    found = classifications(images=["photographs", "new.csv"], table="new.csv", error_rate=0.1, threshold="f2")
    assert (found.bundle("new"), found.table("new")) == ("bundles/b/bundle.json", ["new.csv"])
    assert found.images("new") == ["photographs", "new.csv"]
    options = ["--bundle=bundles/b", "--format=answers", "--threshold=f2", "--error-rate=0.1"]
    assert found.options("new") == options
    assert classifications(explain=True).options("new")[-1] == "--explain"


def test_the_bundle_of_the_study_itself_is_packed_first_and_need_not_exist():
    assert classifications(alone=False, bundle=f"./{OWN}").bundle("new") == OWN
    with pytest.raises(InputError, match=f"classify.new.bundle: {OWN}/bundle.json: no such file"):
        classifications(bundle=OWN)


def test_all_that_is_missing_is_listed_before_any_job():
    with pytest.raises(InputError) as error:
        classifications(images=["photograph", "photographs"], table="old.csv", bundle="bundles/c")
    assert "classify.new.images: photograph: no such file or folder (is photographs meant?)" in str(error.value)
    assert "classify.new.table: old.csv" in str(error.value)
    assert "classify.new.bundle: bundles/c/bundle.json: no such file; give a folder" in str(error.value)
    with pytest.raises(InputError, match=r"bundles/b/bundle.json has no best; it has youden, f2"):
        classifications(threshold="best")
    with pytest.raises(InputError, match="table: photographs: a folder; give the file of a table"):
        classifications(table="photographs")
    with pytest.raises(InputError, match="images: : no such file or folder"):
        classifications(images="")
