"""Training is kept away from the patients, lesions, files and photographs of external tests."""

from pathlib import Path

import cv2
import pandas as pd
import pytest

from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from melanoma.images.near_duplicates import find
from melanoma.images.thumbnails import read_thumbnails
from melanoma.split.assign import Split, split_images
from melanoma.split.external import external_images, keep_away, study_images
from melanoma.split.leakage import Tables, check
from real_data import real_data
from simulated_split import SETTINGS, catalog

NO_PAIRS = pd.DataFrame({"first": [], "second": [], "verdict": []}, dtype="str")
CLINIC = "the external test clinic"


@pytest.fixture
def images():
    """A simulated study of 120 patients, and as external sources a test and images without labels."""
    study = catalog(120, seed=0)
    clinic = catalog(30, seed=1).assign(role="test", source="clinic")
    new = catalog(10, seed=2).assign(role="predict", source="new")
    for name, table in (("C", clinic), ("N", new)):
        for column in ("image", "patient", "lesion"):
            table[column] = name + table[column]
    together = pd.concat([study, clinic, new], ignore_index=True)
    return together.assign(row=together.index)


def split(images):
    return split_images(study_images(images), NO_PAIRS, SETTINGS)


def away(images, near=NO_PAIRS, duplicates=NO_PAIRS, files=None):
    files = images[["image"]].assign(sha256=images["image"]) if files is None else files
    return keep_away(split(images), external_images(images), near, duplicates, files)


def pairs(first, second, verdict):
    return pd.DataFrame({"first": first, "second": second, "verdict": verdict}, dtype="str")


def reasons(result: Split) -> dict[str, str]:
    added = result.left_out[result.left_out["reason"].str.contains("external")]
    return dict(zip(added["image"], added["reason"], strict=True))


def alone(images, count):
    """Return images of the study that train, each the only one of its patient."""
    train = split(images).images.query("part == 'train'")
    return train.loc[~train["patient"].duplicated(keep=False), "image"].tolist()[:count]


def test_a_planted_patient_and_20_near_duplicates_leave_training_and_are_named(images):
    near = alone(images, 20)
    clinic = images.loc[images["source"] == "clinic", "image"].tolist()
    train = split(images).images.query("part == 'train'")
    patient = train.loc[~train["image"].isin(near), "patient"].value_counts().index[0]
    images.loc[images["image"] == clinic[0], "patient"] = patient
    found = away(images, pairs(near, clinic[1:21], ["merged"] * 10 + ["doubted"] * 10))
    ofpatient = images.loc[images["patient"].eq(patient) & images["role"].ne("test"), "image"]
    expected = dict.fromkeys(near, f"near-duplicate or listed duplicate in {CLINIC}")
    assert reasons(found) == expected | dict.fromkeys(ofpatient, f"patient of {CLINIC}")
    assert not {*near, *ofpatient} & {*found.images["image"]}


def real_catalog(folder: Path, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the catalog of a study of the table real and of external tests, without images."""
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    sources = [{"name": name, "table": f"{folder}/{name}.csv", "images": None} for name in tables]
    roles = [{} if source["name"] == "real" else {"role": "test"} for source in sources]
    found, _ = build_catalog(Data(sources=[source | role for source, role in zip(sources, roles, strict=True)]))
    return found.assign(row=found.index)


def copied_files(folder: Path, files: list[Path]) -> list[Path]:
    """Write cropped, smaller, mirrored copies of photographs, encoded again."""
    for file in files:
        small = cv2.resize(cv2.imread(str(file))[20:, :-20], None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"COPY_{file.name}"), small[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])
    return [folder / f"COPY_{file.name}" for file in files]


@pytest.mark.real_data
def test_a_real_patient_and_20_real_photographs_of_an_external_test_leave_training_and_are_named(tmp_path):
    subset, official = (pd.read_csv(real_data(f"isic2020-{name}/train.csv")) for name in ("subset", "tables"))
    new = official[~official["image_name"].isin(subset["image_name"])]
    study = real_catalog(tmp_path, {"real": subset})
    near = alone(study, 20)
    train = split(study).images.query("part == 'train'")
    patient = train.loc[~train["image"].isin(near) & train["patient"].isin(new["patient_id"]), "patient"].iloc[0]
    copies = subset[subset["image_name"].isin(near)].copy()
    copies[["image_name", "patient_id"]] = "COPY_" + copies[["image_name", "patient_id"]]
    strangers = new[~new["patient_id"].isin(subset["patient_id"])].head(300)
    clinic = pd.concat([strangers, new[new["patient_id"] == patient], copies])
    images = real_catalog(tmp_path, {"real": subset, "clinic": clinic})
    unrelated = train.loc[~train["image"].isin(near), "image"].head(20)
    originals = [real_data(f"isic2020-subset/jpeg/train/{name}.jpg") for name in [*near, *unrelated]]
    files = [*originals, *copied_files(tmp_path, originals[:20])]
    pairs_found = find([file.stem for file in files], read_thumbnails(files, 10**8, 1), 1)
    result = away(images, pairs_found.rename(columns={"image_a": "first", "image_b": "second"}))
    expected = dict.fromkeys(near, f"near-duplicate or listed duplicate in {CLINIC}")
    of_patient = train.loc[train["patient"] == patient, "image"]
    assert reasons(result) == expected | dict.fromkeys(of_patient, f"patient of {CLINIC}")
    assert set(result.images["image"]) == set(study["image"]) - set(near) - set(of_patient)


def test_all_other_images_keep_their_place_and_the_internal_test_loses_none(images):
    before = split(images).images.set_index("image")
    clinic = images.loc[images["source"] == "clinic", "image"].iloc[0]
    images.loc[images["image"] == clinic, "patient"] = before.query("part == 'test'")["patient"].iloc[0]
    after = away(images).images.set_index("image")
    pd.testing.assert_frame_equal(after, before)


def test_a_lesion_a_file_a_listed_duplicate_and_a_chain_of_links_count_too(images):
    one, other, third, *_ = alone(images, 9)
    train = split(images).images.query("part == 'train'")
    patient = train["patient"].value_counts().eq(2).idxmax()
    copied, mate = train.loc[train["patient"] == patient, "image"]
    clinic = images.loc[images["source"] == "clinic", "image"].tolist()
    images.loc[images["image"].isin([one, clinic[0]]), "lesion"] = "L"
    digest = images["image"].replace(clinic[1], other)
    found = away(
        images,
        pairs([copied], [clinic[3]], ["merged"]),
        pairs([clinic[2]], [third], [""]),
        pd.DataFrame({"image": images["image"], "sha256": digest}),
    )
    assert reasons(found) == {
        one: f"lesion of {CLINIC}",
        other: f"file of {CLINIC}",
        third: f"near-duplicate or listed duplicate in {CLINIC}",
        copied: f"near-duplicate or listed duplicate in {CLINIC}",
        mate: f"linked over other images to {CLINIC}",
    }


def test_pairs_that_are_cleared_or_kept_apart_and_images_without_labels_take_nothing_out(images):
    one, other, third, *_ = alone(images, 9)
    clinic, new = (images.loc[images["source"] == name, "image"].iloc[0] for name in ("clinic", "new"))
    near = pairs([one, other, third], [clinic, third, new], ["cleared", "doubted, kept apart", "merged"])
    assert reasons(away(images, near)) == {}


def gate(images, result: Split, near=NO_PAIRS):
    train, test = (result.images[result.images["part"] == part] for part in ("train", "test"))
    return check(
        Tables(
            train=train,
            test=test.drop(columns=["target", "diagnosis", "fold", "part"]),
            files=images[["image"]].assign(sha256=images["image"]),
            pairs=NO_PAIRS,
            near=near,
            folds=SETTINGS.folds,
            external=external_images(images).query("role == 'test'").drop(columns=["target", "diagnosis"]),
        )
    )


def test_the_gate_finds_what_is_not_taken_out(images):
    one, *_ = alone(images, 1)
    clinic = images.loc[images["source"] == "clinic", "image"].iloc[0]
    near = pairs([one], [clinic], ["merged"])
    (finding,) = gate(images, split(images), near)["findings"]
    assert (finding["kind"], finding["boundary"]) == ("near-duplicate pair", "train/external test")
    assert finding["images"] == sorted([one, clinic])
    assert gate(images, away(images, near), near)["findings"] == []


def test_the_gate_says_that_the_internal_test_overlaps_with_an_external_one(images):
    test = split(images).images.query("part == 'test'")
    patient = test["patient"].value_counts().index[0]
    clinic = images.loc[images["source"] == "clinic", "image"].iloc[0]
    images.loc[images["image"] == clinic, "patient"] = patient
    report = gate(images, away(images))
    assert report["findings"] == []
    count = (test["patient"] == patient).sum()
    assert any(notice.startswith(f"{count} of {len(test)} internal test images share") for notice in report["notices"])
