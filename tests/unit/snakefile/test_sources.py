"""The sources as the catalog reads them, and what the workflow makes for them."""

from melanoma.config.study import resolve
from melanoma.snakefile.sources import downloads, drawn, for_catalog, image_folders, tables

CLINIC = {"name": "clinic", "table": "clinic.csv", "metadata": "more.csv", "images": ["a", "b"]}
DRAWN = {"name": "demo", "generate": {"images": 60}}
MODELS = {"mlp": {"network": "metadata_mlp"}}


def study(**changes):
    return resolve({"study": "s", "data": {"sources": [CLINIC, DRAWN]}, "models": MODELS} | changes)


def test_a_drawn_source_has_the_paths_of_what_is_drawn():
    assert {name: settings.images for name, settings in drawn(study()).items()} == {"demo": 60}
    clinic, demo = for_catalog(study(), "out")
    assert clinic == study().data.sources[0]
    assert (demo.layout, demo.table, demo.images) == ("kaggle", "out/demo/train.csv", "out/demo/jpeg")


def test_all_tables_are_inputs():
    assert tables(for_catalog(study(), "out")) == ["clinic.csv", "more.csv", "out/demo/train.csv"]


def test_folders_are_inputs_that_are_there_or_that_the_workflow_makes(tmp_path):
    (tmp_path / "there").mkdir()
    there, missing = str(tmp_path / "there"), str(tmp_path / "missing")
    sources = study(data={"sources": [CLINIC | {"images": [there, missing]}, DRAWN]})
    assert image_folders(for_catalog(sources, "out"), ["out/demo/jpeg"]) == [there, "out/demo/jpeg"]


def test_what_is_there_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/there").touch()
    fetch = {"data/there": {"url": "https://a.org/a"}, "data/missing": {"url": "https://a.org/b"}}
    found = downloads(study(fetch=fetch))
    assert "data/missing" in found and "data/there" not in found
