"""External sources: never trained on, predicted by the models of the study, evaluated as tests of their own."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import build_catalog
import check_leakage
import evaluate_bundle
import export_predictions
import find_near_duplicates
import merge_shards
import prepare_shard
import quick
import split_study
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_yaml

pytestmark = pytest.mark.xdist_group("finished")
MODELS = {"cnn", "joint", "logistic", "boosting", "mean", "stacked", "stacked_without_context", "boosted"}
FROM_A_FILE = {"theirs", "weighted"}  # the file has rows of the clinic's images and none of the challenge's


@pytest.fixture(scope="module")
def results(finished):
    return finished[0] / "results" / "tiny"


@pytest.fixture(scope="module")
def external(results):
    """The images of the source clinic, of role test, and of the source challenge, of role predict."""
    return pd.read_parquet(results / "split/external.parquet")


def test_no_image_of_an_external_source_is_in_the_study(results, external):
    assert external["source"].value_counts().to_dict() == {"clinic": 24, "challenge": 20}
    study = pd.concat(pd.read_parquet(results / f"split/{part}.parquet") for part in ("train", "test"))
    assert set(study["source"]) == {"drawn"} and len(study) == 90
    labels = pd.read_parquet(results / "split/external_labels.parquet")
    assert set(labels["source"]) == {"clinic"} and set(labels["target"]) == {0, 1} and "target" not in external


def test_every_model_predicts_all_external_images_that_it_can_without_labels(results, external):
    files = {path.stem: path for path in (results / "external").glob("*.parquet")}
    assert set(files) == MODELS | FROM_A_FILE
    for name, path in files.items():
        table = pd.read_parquet(path)
        wanted = external.query("source == 'clinic'") if name in FROM_A_FILE else external
        assert table["image"].tolist() == wanted["image"].tolist() and table["target"].isna().all()
        assert table["source"].tolist() == wanted["source"].tolist()


def test_a_source_that_a_file_of_predictions_lacks_is_named(finished):
    log = (finished[0] / "logs/tiny/predict_external_tabular.log").read_text()
    assert "theirs.csv: no result for the external source challenge, because 20 of its 20 images have no row" in log


def test_each_external_test_is_evaluated_by_the_decisions_of_the_study(results):
    (source, tests), *others = read_json(results / "evaluate/external.json").items()
    metrics = read_json(results / "evaluate/metrics.json")
    assert source == "clinic" and not others and set(tests) == MODELS | FROM_A_FILE
    for name, entry in tests.items():
        inside = metrics[name]
        assert entry["n"] == 24 and entry["auroc"]["low"] <= entry["auroc"]["value"] <= entry["auroc"]["high"]
        assert {rule: each["threshold"] for rule, each in entry["thresholds"].items()} == {
            rule: each["threshold"] for rule, each in inside["thresholds"].items()
        }
        dropped = inside["auroc"]["value"] - entry["auroc"]["value"]
        assert entry["drop"]["internal_test"]["auroc"]["value"] == pytest.approx(dropped)
        assert "out_of_fold" in entry["drop"]


def test_the_table_of_external_tests_is_printed(finished, results):
    assert (results / "evaluate/external.txt").read_text().strip() in finished[1]


def test_the_labels_of_an_external_test_are_read_once_for_all_models(results):
    lines = [json.loads(line) for line in (results / "test_access_log.jsonl").read_text().splitlines()]
    (line,) = [each for each in lines if each["reader"] == "external"]
    assert set(line["models"]) == MODELS | FROM_A_FILE


def test_one_command_writes_the_submission_of_a_source_without_labels(results, external, tmp_path):
    options = ("--results", results, "--source", "challenge", "--output", tmp_path / "submission.csv")
    call(export_predictions, *options, "--model", "mean", "--format", "kaggle")
    submission = pd.read_csv(tmp_path / "submission.csv")
    assert submission.columns.tolist() == ["image_name", "target"]
    assert submission["image_name"].tolist() == external.query("source == 'challenge'")["image"].tolist()
    predicted = pd.read_parquet(results / "external/mean.parquet").set_index("image")["probability"]
    assert np.array_equal(submission["target"], predicted[submission["image_name"]])
    call(export_predictions, *options, "--model", "cnn")
    columns = ["image", "patient", "probability", "logit", "source"]
    assert pd.read_csv(tmp_path / "submission.csv").columns.tolist() == columns
    with pytest.raises(InputError, match=r"nobody has no predictions of external sources; --model can be boosted, "):
        call(export_predictions, *options, "--model", "nobody")
    with pytest.raises(InputError, match=r"no predictions of a source challenge. There are predictions of clinic"):
        call(export_predictions, *options, "--model", "theirs")
    with pytest.raises(InputError, match="no predictions of a source nowhere"):
        call(export_predictions, *options, "--model", "mean", "--source", "nowhere")


@pytest.mark.parametrize("name", ["cnn", "stacked"])
def test_a_bundle_alone_gives_the_results_of_the_study(results, tmp_path, name):
    quick.run("bundle", "--results", results, "--model", name, "--output", tmp_path / "bundle")
    drawn = results / "demo"
    sources = [
        {
            "name": source,
            "role": role,
            "table": str(drawn / source / "train.csv"),
            "images": str(drawn / source / "jpeg"),
        }
        for source, role in (("clinic", "test"), ("challenge", "predict"))
    ]
    write_yaml(tmp_path / "data.yaml", {"data": {"sources": sources}, "evaluate": {"replicates": 100}})
    options = ["--bundle", tmp_path / "bundle", "--configfile", tmp_path / "data.yaml"]
    call(evaluate_bundle, *options, "--output", tmp_path / "alone.json", "--predictions", tmp_path / "alone.parquet")
    alone = pd.read_parquet(tmp_path / "alone.parquet").set_index("image")
    inside = pd.read_parquet(results / f"external/{name}.parquet").set_index("image")
    np.testing.assert_allclose(alone["logit"], inside["logit"][alone.index], atol=1e-6)
    found = read_json(tmp_path / "alone.json")["clinic"][name]
    expected = read_json(results / "evaluate/external.json")["clinic"][name]
    assert found["auroc"] == expected["auroc"] and found["calibrated"]["brier"]["value"] == pytest.approx(
        expected["calibrated"]["brier"]["value"], abs=1e-6
    )
    assert set(found) == set(expected) - {"drop"}


def test_a_bundle_is_not_evaluated_on_a_file_without_images(results, tmp_path):
    quick.run("bundle", "--results", results, "--model", "logistic", "--output", tmp_path / "bundle")
    table = str(results / "demo/clinic/train.csv")
    write_yaml(tmp_path / "data.yaml", {"data": {"sources": [{"name": "a", "table": table, "images": None}]}})
    options = ("--bundle", tmp_path / "bundle", "--configfile", tmp_path / "data.yaml", "--output", tmp_path / "x.json")
    with pytest.raises(InputError, match="sources without images: a"):
        call(evaluate_bundle, *options)


@pytest.fixture(scope="module")
def planted(results, tmp_path_factory):
    """A study of the drawn lesions, with a clinic that has one of its patients and small copies of 20 of its images."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "jpeg").mkdir()
    theirs, ours = (pd.read_csv(results / f"demo/{name}/train.csv") for name in ("clinic", "drawn"))
    images = {name: results / "demo" / name / "jpeg" for name in ("clinic", "drawn")}
    train = ours[ours["image_name"].isin(pd.read_parquet(results / "split/train.parquet")["image"])]
    patient = train["patient_id"].value_counts().index[-1]
    images_of_patient = train.groupby("patient_id")["patient_id"].transform("size")
    order = images_of_patient.sort_values(ascending=False, kind="stable").index  # so few patients leave the training
    copied = train.loc[order].query("patient_id != @patient").head(20)
    for name in copied["image_name"]:
        pixels = cv2.imread(str(images["drawn"] / f"{name}.jpg"))
        small = cv2.resize(pixels, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"jpeg/COPY_{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 70])
    copies = copied.assign(image_name="COPY_" + copied["image_name"], patient_id="COPY_" + copied["patient_id"])
    theirs.loc[0, "patient_id"] = patient
    pd.concat([theirs, copies]).to_csv(folder / "clinic.csv", index=False)
    sources = [
        {"name": "drawn", "table": str(results / "demo/drawn/train.csv"), "images": str(images["drawn"])},
        {
            "name": "clinic",
            "role": "test",
            "table": str(folder / "clinic.csv"),
            "images": [str(images["clinic"]), str(folder / "jpeg")],
        },
    ]
    write_yaml(folder / "catalog.yaml", {"on_bad_row": "fail", "sources": sources})
    write_yaml(folder / "images.yaml", {"size": 32})
    write_yaml(folder / "split.yaml", {"folds": 2})
    return folder, set(copied["image_name"]), set(ours.loc[ours["patient_id"] == patient, "image_name"])


def test_a_planted_patient_and_20_planted_copies_are_taken_out_of_training_and_named(planted, results):
    folder, copied, of_patient = planted
    away, gate = _run_split(folder)
    train = pd.read_parquet(folder / "train.parquet")
    mates = set(away) - copied - of_patient  # other images of the patients whose image was copied
    assert copied | of_patient == set(away) - mates
    assert not set(train["image"]) & set(away)
    reasons = {image: reason.removesuffix(" the external test clinic") for image, reason in away.items()}
    assert {reasons[image] for image in copied} == {"near-duplicate or listed duplicate in"}
    assert {reasons[image] for image in of_patient} == {"patient of"}
    assert {reasons[image] for image in mates} <= {"linked over other images to"}
    assert gate["findings"] == []
    assert {image for images in gate["left_out"].values() for image in images} == set(away)
    before, after = (pd.read_parquet(each / "test.parquet")["image"] for each in (results / "split", folder))
    assert set(after) == set(before)


def _run_split(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, list[str]]]]:
    """Run the scripts from the catalog to the gate; return the images that are left out, and what the gate writes."""

    def path(name: str) -> Path:
        return folder / name

    catalog = ("--catalog", path("catalog.parquet"))
    call(build_catalog, "--settings", path("catalog.yaml"), "--output", catalog[1], "--issues", path("issues.csv"))
    shard = ("--images", path("shard.h5")), ("--quality", path("shard.parquet"))
    options = ("--settings", path("images.yaml"), *catalog, "--shard", 0, "--shards", 1)
    call(prepare_shard, *options, "--output", shard[0][1], *shard[1])
    merged = ("--output", path("images.h5"), "--quality", path("quality.parquet"), "--shard-count", path("count"))
    call(merge_shards, "--shards", shard[0][1], "--qualities", shard[1][1], *merged)
    call(find_near_duplicates, *catalog, "--output", path("near_duplicates.csv"))
    found = ("--quality", path("quality.parquet"), "--near-duplicates", path("near_duplicates.csv"))
    given = ("--settings", path("split.yaml"), *found)
    tables = [
        ("--train", path("train.parquet")),
        ("--test", path("test.parquet")),
        ("--left-out", path("left_out.csv")),
    ]
    written = [option for table in tables for option in table]
    others = ["--split", path("split.parquet"), "--test-labels", path("test_labels.parquet")]
    others += ["--pairs", path("pairs.csv"), "--external-labels", path("external_labels.parquet")]
    external = ("--external", path("external.parquet"))
    call(split_study, *given, *catalog, *written, *others, *external)
    call(check_leakage, *given, *written, *external, "--output", path("leakage.json"))
    left_out = pd.read_csv(path("left_out.csv"))
    return dict(zip(left_out["image"], left_out["reason"], strict=True)), read_json(path("leakage.json"))
