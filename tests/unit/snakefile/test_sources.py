"""The sources as the catalog reads them, and what the workflow makes for them."""

from melanoma.snakefile.sources import downloads, drawn, for_catalog, image_folders, tables

CLINIC = {"name": "clinic", "table": "clinic.csv", "metadata": "more.csv", "images": ["a", "b"]}
DRAWN = {"name": "demo", "generate": {"images": 60}, "metadata": None}
CONFIG = {"data": {"sources": [CLINIC, DRAWN]}}


def test_a_drawn_source_has_the_paths_of_what_is_drawn():
    assert drawn(CONFIG) == {"demo": {"images": 60}}
    paths = {"layout": "kaggle", "table": "out/demo/train.csv", "images": "out/demo/jpeg"}
    assert for_catalog(CONFIG, "out") == [CLINIC, {"name": "demo", "metadata": None} | paths]


def test_all_tables_are_inputs():
    assert tables(for_catalog(CONFIG, "out")) == ["clinic.csv", "more.csv", "out/demo/train.csv"]


def test_folders_are_inputs_that_are_there_or_that_the_workflow_makes(tmp_path):
    (tmp_path / "there").mkdir()
    there, missing = str(tmp_path / "there"), str(tmp_path / "missing")
    sources = [{"images": [there, missing]}, {"images": "made"}, {"images": None}]
    assert image_folders(sources, ["made"]) == [there, "made"]


def test_what_is_there_is_not_downloaded(tmp_path):
    (tmp_path / "there").touch()
    fetch = {str(tmp_path / "there"): {"url": "a"}, str(tmp_path / "missing"): {"url": "b"}}
    assert downloads({"fetch": fetch}) == {str(tmp_path / "missing"): {"url": "b"}}
