"""The page names no patient, user, home folder or computer, and shows images only if their license allows it."""

import base64
import json
import re
import socket
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import write_report as script
from finished_study import report_options
from in_process import call
from melanoma.common.files import read_json, read_parquet, read_yaml, write_json, write_parquet, write_text, write_yaml
from melanoma.report import privacy
from melanoma.report.gallery import may_show, webp

USER, HOST = "gretaplanted", "workstationplanted"
HOME = f"/home/{USER}"


def write(folder: Path, study: Path, report: dict[str, bool], **changed: Path) -> str:
    """Write the report with an option, and return the page and all tables as one text."""
    write_yaml(folder / "study.yaml", read_yaml(study / "study.yaml") | {"report": report})
    selected = {"selected_model": study / "selected_model.json", "study": folder / "study.yaml"}
    options = report_options(study, **(selected | changed))
    call(script, *options, "--tables", folder / "tables", "--output", folder / "report.html")
    return "\n".join([path.read_text() for path in [folder / "report.html", *sorted((folder / "tables").iterdir())]])


@pytest.fixture
def planted(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Files of the study with names of a patient, a user, a computer and a home folder in them."""
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("LOGNAME", USER)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    write_text(
        tmp_path / "issues.csv",
        "source,table,row,image,column,value,problem,action\n"
        f"demo,{HOME}/train.csv,7,ISIC_X,patient_id,IP_planted,on {HOST},dropped\n",
    )
    quality = read_parquet(study / "quality.parquet").assign(file=f"{HOME}/a.jpg")
    write_parquet(tmp_path / "quality.parquet", quality)
    finding = {"kind": "patient", "boundary": "train/test", "count": 2, "images": ["ISIC_0000001"]}
    write_json(tmp_path / "leakage.json", read_json(study / "leakage.json") | {"findings": [finding]})
    write_yaml(tmp_path / "cnn.yaml", {"network": "external_predictions", "file": f"{HOME}/theirs.csv"})
    files = {"issues": "csv", "quality": "parquet", "leakage": "json"}
    return {name: tmp_path / f"{name}.{end}" for name, end in files.items()} | {"recipes": tmp_path / "cnn.yaml"}


def test_names_are_hidden_unless_identifiers_are_wanted(study: Path, tmp_path: Path, planted: dict[str, Path]) -> None:
    page = write(tmp_path, study, {}, **planted)
    for name in ("IP_", "ISIC_0", USER, HOST, HOME):
        assert name not in page, name
    assert "patient 1" in page and "~/theirs.csv" in page
    open_page = write(tmp_path, study, {"identifiers": True}, **planted)
    assert all(name in open_page for name in ("IP_planted", "ISIC_0", f"{HOME}/theirs.csv", HOST))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/greta/data/a.csv", "~/data/a.csv"),
        ("/Users/greta/a.csv", "~/a.csv"),
        ("/u/home/g/greta/a.csv", "~/a.csv"),
        ("results/home/greta", "results/home/greta"),
        ("/data/homes/a.csv", "/data/homes/a.csv"),
    ],
)
def test_a_home_folder_is_written_as_a_tilde(path: str, shown: str) -> None:
    assert privacy.redactor(identifiers=False)(path) == shown
    assert privacy.redactor(identifiers=True)(path) == path


def test_an_image_is_shown_if_its_license_allows_it_or_the_study_asks_for_it() -> None:
    license_ = pd.Series(["CC-0", "CC BY-NC 4.0", "CC0", None, "all rights reserved", None])
    source = pd.Series(["a", "a", "a", "a", "a", "drawn"])
    assert may_show(license_, source, ["drawn"], None).tolist() == [True, True, True, False, False, True]
    assert may_show(license_, source, ["drawn"], True).all()
    assert not may_show(license_, source, ["drawn"], False).any()


def test_a_study_without_permission_has_no_picture(study: Path, tmp_path: Path) -> None:
    assert '"thumbnails":["' in write(tmp_path, study, {})
    page = write(tmp_path, study, {"images": False})
    assert '"thumbnails":[]' in page and "Images without a picture" in page
    assert "data:image/webp;base64,U" not in page


def test_the_sheet_of_near_duplicates_names_images_so_it_needs_identifiers(study: Path, tmp_path: Path) -> None:
    sheet = ["--figures", f"near_duplicates={study / 'figures' / 'samples.png'}"]
    for wanted in (True, False):
        write_yaml(tmp_path / "study.yaml", read_yaml(study / "study.yaml") | {"report": {"identifiers": wanted}})
        call(script, *report_options(study, study=tmp_path / "study.yaml"), *sheet, "--output", tmp_path / "page.html")
        assert ('id="near_duplicates"' in (tmp_path / "page.html").read_text()) == wanted


def test_a_picture_has_no_metadata(study: Path, tmp_path: Path) -> None:
    page = write(tmp_path, study, {})
    pictures = json.loads(re.findall(r'"thumbnails":(\[.*?\])', page)[0])
    assert pictures and not any(b"EXIF" in base64.b64decode(each) for each in pictures)


def test_a_picture_is_small_and_has_the_colors_of_the_image() -> None:
    image = np.zeros((300, 200, 3), np.uint8)
    image[..., 0] = 250
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(webp(image)), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None and decoded.shape == (128, 85, 3)
    assert decoded[..., 2].mean() > 200 and decoded[..., 0].mean() < 40
