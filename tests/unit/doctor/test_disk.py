"""The estimate of the disk that a study needs, and a disk that is too full."""

from collections import namedtuple

import pytest

from melanoma.config.study import resolve
from melanoma.doctor import disk
from melanoma.doctor.disk import GB, RESERVE, check_disk, count_parameters, study_needs

WEIGHTS = "data/weights/resnest50-528c19ca.pth"
IMAGES = 10_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(**model):
    sources = [{"name": "drawn", "generate": {"images": IMAGES}}]
    models = {"net": {"network": "resnest50"} | model}
    return resolve({"study": "s", "data": {"sources": sources}, "images": {"size": 100}, "models": models})


def free(monkeypatch, size):
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(size))


def test_the_store_has_three_bytes_for_each_pixel_unless_it_is_there(folder):
    needs, unknown = study_needs(study(), folder, {WEIGHTS: 5})
    assert needs == {"results": RESERVE, "image store": IMAGES * 100 * 100 * 3, "downloads": 5} and not unknown
    (folder / "results/s/images").mkdir(parents=True)
    (folder / "results/s/images/images.h5").touch()
    assert study_needs(study(), folder, {})[0]["image store"] == 0


def test_what_is_not_known_is_said(folder):
    (finding,) = check_disk(study(), folder, {WEIGHTS: "no answer"})
    assert finding.level != "ok" and f"not known yet: the size of {WEIGHTS}" in finding.text


def test_every_run_of_a_network_counts():
    once = count_parameters(study())
    assert 50e6 < once < 52e6  # a fold and the refit, of 25 million weights each
    assert count_parameters(study(seeds=[1, 2])) == 2 * once


def test_a_disk_that_is_too_full_is_a_fault_and_one_without_room_for_checkpoints_a_warning(folder, monkeypatch):
    free(monkeypatch, int(0.5 * GB))
    (finding,) = check_disk(study(), folder, {WEIGHTS: 5})
    assert finding.level == "FAULT" and "0.5 GB are free" in finding.text and "free some space" in finding.cure
    free(monkeypatch, int(2 * GB))
    (finding,) = check_disk(study(), folder, {WEIGHTS: 5})
    assert finding.level == "warning" and "checkpoints need up to" in finding.text
    free(monkeypatch, int(100 * GB))
    assert check_disk(study(), folder, {WEIGHTS: 5})[0].level == "ok"
