"""The files of a study: missing ones with a cure, downloads, and servers that do not answer."""

import socket

import pytest

from melanoma.config.study import resolve
from melanoma.doctor import data
from melanoma.doctor.data import ask_servers, check_data, check_servers, missing_downloads

CLINIC = {"name": "clinic", "table": "clinic/train.csv", "images": "clinic/jpeg"}
TIMM = {"network": "timm/resnet50", "backbone": {"weights": "weights/resnet50.pth"}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clinic" / "jpeg").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    for file in ("clinic/train.csv", "weights/resnet50.pth"):
        (tmp_path / file).touch()
    return tmp_path


def study(**changes):
    return resolve({"study": "s", "data": {"sources": [CLINIC]}, "models": {"net": TIMM}} | changes)


def test_a_study_whose_files_are_there():
    assert [finding.level for finding in check_data(study())] == ["ok"]


@pytest.mark.parametrize(
    ("file", "kind", "cure"),
    [
        ("clinic/train.csv", "a table of the study", "correct the path in the study"),
        ("weights/resnet50.pth", "pretrained weights of net", "backbone.pretrained to false"),
    ],
)
def test_a_missing_file_is_named_with_its_cure(folder, file, kind, cure):
    (folder / file).unlink()
    finding = check_data(study())[0]
    assert finding.level == "FAULT" and f"{file} ({kind}) does not exist" in finding.text and cure in finding.cure


def test_a_folder_of_images_by_a_wrong_name(folder):
    (folder / "clinic/jpeg").rename(folder / "clinic/jpegs")
    finding = check_data(study())[0]
    assert "clinic/jpeg (images of the source clinic)" in finding.text and "clinic/jpegs meant?" in finding.text


def test_tables_of_the_split_and_predictions_are_files_too():
    models = {"theirs": {"network": "external_predictions", "file": "theirs.csv"}}
    found = check_data(study(models=models, split={"duplicates": "pairs.csv"}))
    assert [finding.text.split()[0] for finding in found[:2]] == ["theirs.csv", "pairs.csv"]


def official(url):
    known = {"data/weights/resnest50-528c19ca.pth": {"url": url}}
    return study(models={"net": {"network": "resnest50"}}, fetch=known)


def test_a_download_is_no_fault_and_only_what_the_study_reads_is_downloaded():
    found = official("https://example.org/a")
    assert list(missing_downloads(found)) == ["data/weights/resnest50-528c19ca.pth"]
    assert [finding.level for finding in check_data(found)] == ["note", "ok"]


def test_a_server_that_does_not_answer_is_a_warning(monkeypatch):
    monkeypatch.setattr(data, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        downloads = missing_downloads(official(f"http://127.0.0.1:{silent.getsockname()[1]}/a"))
        (finding,) = check_servers(downloads, ask_servers(downloads))
    assert finding.level == "warning" and "127.0.0.1" in finding.text and "no answer" in finding.text
    assert "download data/weights/resnest50-528c19ca.pth elsewhere" in finding.cure
