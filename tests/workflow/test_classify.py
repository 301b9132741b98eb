"""A bundle of a finished study, in another folder, gives the study's predictions for the same photographs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from scipy.special import expit, logit

import bundle as bundle_script
import classify as classify_script
import quick
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_json
from melanoma.config.data import Images
from melanoma.images.shards import prepare_file
from project import ROOT
from workflow import snakemake

pytestmark = pytest.mark.xdist_group("finished")
FOLDERS = {"cnn": "predict", "joint": "predict", "boosting": "predict", "mean": "fuse", "stacked": "fuse"}


@pytest.fixture(scope="module")
def photographs(finished, tmp_path_factory):
    """The test images of the tiny study and their table, in a folder of their own."""
    folder = tmp_path_factory.mktemp("clinic")
    project, _ = finished
    results = project / "results" / "tiny"
    test = pd.read_parquet(results / "split" / "test.parquet")
    files = pd.read_parquet(results / "catalog" / "catalog.parquet").set_index("image")["file"]
    (folder / "images").mkdir()
    for image in test["image"]:
        shutil.copy(project / files[image], folder / "images")
    test.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def bundles(finished, photographs):
    """Bundles of several kinds of models, made in the study and then moved away from it."""
    for name in FOLDERS:
        quick.run("bundle", "--results", finished[0] / "results/tiny", "--model", name, "--output", photographs / name)
    return photographs


def classify(folder, name, *options):
    output = folder / f"{name}.csv"
    images = sorted((folder / "images").iterdir())
    quick.run("classify", "--bundle", folder / name, "--output", output, *options, *images)
    return pd.read_csv(output).set_index("image")


def predicted(finished, name):
    rows = pd.read_parquet(finished[0] / "results/tiny" / FOLDERS[name] / f"{name}.parquet")
    return rows[rows["part"] == "test"].set_index("image")


@pytest.mark.parametrize("name", FOLDERS)
def test_the_answers_are_the_studys_predictions_to_the_bit(finished, bundles, name):
    answers = classify(bundles, name, "--table", bundles / "table.csv", "--error-rate", 0.1)
    expected = predicted(finished, name)
    assert answers.index.tolist() == sorted(expected.index)
    assert np.array_equal(answers["logit"], expected["logit"].loc[answers.index])
    assert answers["probability"].between(0, 1).all() and answers["problem"].isna().all()
    assert set(answers["decision"]) <= {"benign", "melanoma"}
    threshold = read_json(bundles / name / "bundle.json")["thresholds"]["youden"]
    assert ((expected["probability"].loc[answers.index] >= threshold) == (answers["decision"] == "melanoma")).all()
    assert set(answers["conformal"]) <= {"benign", "melanoma", "benign or melanoma", "neither"}
    assert not (bundles / f"{name}.csv.resume").exists()


def test_damaged_files_do_not_stop_the_others_and_are_listed_with_reasons(finished, bundles, tmp_path):
    shutil.copytree(bundles / "images", tmp_path / "images")
    shutil.copytree(bundles / "cnn", tmp_path / "cnn")
    files = sorted((tmp_path / "images").iterdir())
    (files[0]).write_bytes(files[0].read_bytes()[:2000])
    (files[1]).write_bytes(b"")
    (files[2]).write_text("<html>not found</html>")
    answers = classify(tmp_path, "cnn")
    assert answers["problem"].notna().tolist() == [True] * 3 + [False] * (len(files) - 3)
    assert answers["probability"].isna().tolist() == [True] * 3 + [False] * (len(files) - 3)
    expected = predicted(finished, "cnn")["logit"]
    assert answers["logit"].iloc[3:].to_numpy() == pytest.approx(expected.loc[answers.index[3:]].to_numpy(), abs=1e-6)


@pytest.mark.parametrize(("name", "pictures"), [("joint", 2), ("mean", 2), ("boosting", 1)])
def test_the_page_has_a_thumbnail_and_a_map_of_each_image_that_a_network_reads(bundles, name, pictures):
    page = bundles / f"{name}.html"
    answers = classify(bundles, name, "--table", bundles / "table.csv", "--html", page, "--explain")
    text = page.read_text()
    assert text.count("<img") == pictures * len(answers) and text.count("<tr>") == len(answers) + 1


def test_an_image_of_other_colors_or_beyond_the_limit_of_the_distance_has_a_warning(bundles, tmp_path):
    shutil.copytree(bundles / "cnn", tmp_path / "cnn")
    (tmp_path / "images").mkdir()
    photograph = next(file for file in (bundles / "images").iterdir())
    shutil.copy(photograph, tmp_path / "images")
    cv2.imwrite(str(tmp_path / "images" / "green.png"), np.full((400, 500, 3), (60, 200, 60), np.uint8))
    about = read_json(tmp_path / "cnn" / "bundle.json")
    for limit, far in ((-1.0, 2), (3.0, 0)):  # a cosine distance is 0 to 2
        about["training_embeddings"]["limit"] = limit
        write_json(tmp_path / "cnn" / "bundle.json", about)
        warnings = classify(tmp_path, "cnn")["warnings"].fillna("")
        assert warnings.str.contains("perhaps no dermoscopic image").sum() == far
        assert "greener than the training images" in warnings["green"]


def test_the_deviation_of_a_fusion_is_that_of_its_members(finished, bundles):
    answers = classify(bundles, "mean", "--table", bundles / "table.csv")
    results = finished[0] / "results/tiny/predict"
    members = [pd.read_parquet(results / f"{name}.parquet").set_index("image")["logit"] for name in ("cnn", "logistic")]
    expected = np.std([logits.loc[answers.index] for logits in members], axis=0, ddof=1)
    assert answers["deviation"].to_numpy() == pytest.approx(expected)


def test_the_onnx_models_of_a_bundle_give_its_logits_without_the_workflow(finished, bundles, tmp_path):
    """A foreign runtime follows bundle.json: two folds without test-time augmentation, then the mean of them."""
    quick.run("bundle", "--results", finished[0] / "results/tiny", "--model", "cnn", "--onnx", "--output", tmp_path)
    about = read_json(tmp_path / "bundle.json")
    network = about["onnx"]["networks"]["cnn"]
    assert network["side"] == 32 and network["preparation"]["fit"] == "center_crop"
    preparation = Images.model_validate(network["preparation"])
    pixels = [prepare_file(file, preparation).pixels for file in sorted((bundles / "images").iterdir())]
    paths = [run["model"] for run in network["runs"].values()]
    sessions = [onnxruntime.InferenceSession(tmp_path / path) for path in paths]
    probability = np.mean([expit(one.run(["logit"], {"images": np.array(pixels)})[0]) for one in sessions], axis=0)
    assert set(paths) < set(about["files"])
    np.testing.assert_allclose(logit(probability), classify(bundles, "cnn")["logit"], atol=1e-4)


def test_a_submission_to_kaggle_has_its_two_columns(bundles):
    quick.run(
        *("classify", "--bundle", bundles / "cnn", "--output", bundles / "submission.csv", "--format", "kaggle"),
        bundles / "images",
    )
    submission = pd.read_csv(bundles / "submission.csv")
    assert submission.columns.tolist() == ["image_name", "target"] and submission["target"].between(0, 1).all()


def test_another_prevalence_shifts_every_log_odds_alike(bundles):
    def log_odds(*options):
        probability = classify(bundles, "cnn", *options)["probability"]
        return np.log(probability / (1 - probability))

    about = read_json(bundles / "cnn" / "bundle.json")
    trained = about["prevalence"]
    shift = np.log(0.01 / 0.99) - np.log(trained / (1 - trained))
    shifted, given = log_odds("--prevalence", 0.01), log_odds()
    certain = np.isinf(given)  # an isotonic calibrator gives 0 and 1
    assert (shifted - given)[~certain].to_numpy() == pytest.approx(shift) and (shifted == given)[certain].all()


def test_external_predictions_have_no_bundle_and_a_changed_bundle_is_refused(finished, bundles, tmp_path):
    options = ("--results", finished[0] / "results/tiny", "--output", tmp_path / "x", "--model")
    with pytest.raises(InputError, match="theirs has external predictions and no weights"):
        call(bundle_script, *options, "theirs")
    with pytest.raises(InputError, match=r"no model nobody\. Its models are boosted, boosting, cnn"):
        call(bundle_script, *options, "nobody")
    shutil.copytree(bundles / "cnn", tmp_path / "cnn")
    next((tmp_path / "cnn" / "models" / "cnn").iterdir()).write_bytes(b"other")
    with pytest.raises(InputError, match=r"the file has changed\. Copy the bundle again"):
        call(classify_script, "--bundle", tmp_path / "cnn", "--output", tmp_path / "out.csv", bundles / "images")


def test_the_readmes_commands_need_only_the_bundle_and_a_folder_of_images(finished, bundles, tmp_path, monkeypatch):
    """The script and the job give the same answers, and both leave nothing to go on from."""
    readme = (ROOT / "README.md").read_text()
    packing = re.search(r"^python scripts/bundle\.py (.*)$", readme, re.MULTILINE).group(1)
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    Path("results/demo").symlink_to(finished[0] / "results/tiny")
    call(bundle_script, *packing.split(), "--model", "mean")  # the selected model is an external one
    Path("results/demo").unlink()
    classification = re.search(r"^python (scripts/classify\.py .*)$", readme, re.MULTILINE).group(1)
    (tmp_path / "new.yaml").write_text(
        re.search(r"^study: clinic\n.*?(?=```)", readme, re.MULTILINE | re.DOTALL).group()
    )
    shutil.copytree(bundles / "images", tmp_path / "new_images")
    subprocess.run([sys.executable, *f"{ROOT}/{classification}".split()], cwd=tmp_path, check=True)
    snakemake(tmp_path, "--snakefile", ROOT / "Snakefile", "--cores", 1, "--configfile", "new.yaml")
    answers = tmp_path / "answers.csv"
    assert pd.read_csv(answers)["probability"].notna().all()
    assert answers.read_bytes() == (tmp_path / "results/clinic/classify/new.csv").read_bytes()
    assert [path.name for path in tmp_path.rglob("*.resume")] == []
