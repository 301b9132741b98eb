"""Members of a fusion that were trained at another prevalence are shifted to that of the study, and only these."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fuse as script
from in_process import call
from melanoma.common.files import read_json, write_parquet, write_yaml
from melanoma.fusion import saved_fusion
from melanoma.fusion.priors import corrected, prior_shifts
from melanoma.predictions.table import read_predictions
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import Calibration, auroc, measured

METHODS = ("mean", "logit_mean", "rank_mean", "weighted", "logistic")


class Study:
    """A study of prevalence .11. Scores are the class, -1 or 1, with noise of variance 2: log-odds minus prior."""

    def __init__(self, images: int = 6000, extra: int = 0) -> None:
        draw = np.random.default_rng(3)
        count = images + extra
        target = np.r_[draw.random(images) < 0.11, draw.random(extra) < 0.6].astype(np.int8)
        fold = np.r_[np.arange(images) % 4 - 1, np.full(extra, -2)]
        self.rows = pd.DataFrame(
            {
                "image": [f"ISIC_{number:07d}" for number in range(count)],
                "patient": [f"IP_{number}" for number in range(count)],
                "fold": fold.astype(np.int8),
                "target": target,
                "age": 50.0,
                "sex": "male",
                "site": "torso",
                "width": 600,
                "height": 450,
            }
        )
        self.scores = {seed: (2 * target - 1) + draw.normal(0, 2**0.5, count) for seed in range(3)}
        self.train = self.rows[fold != -1].assign(fold=np.where(fold == -2, -1, fold)[fold != -1].astype(np.int8))
        self.test = self.rows[fold == -1].drop(columns=["target", "fold"])

    def member(self, seed: int, trained: float | None = None) -> pd.DataFrame:
        """Return a calibrated member, as a training at the prevalence `trained` gives it, by default its share."""
        rows = self.rows[self.rows["fold"] > -2]
        outside = {fold: self.train.loc[self.train["fold"] != fold, "target"].mean() for fold in range(3)}
        outside[-1] = self.train["target"].mean()
        prevalence = rows["fold"].map(outside) if trained is None else trained
        log_odds = self.scores[seed][rows.index] + logit(prevalence)
        return rows[["image", "patient", "fold"]].assign(
            part=np.where(rows["fold"] == -1, "test", "train"),
            logit=log_odds,
            probability=sigmoid(log_odds),
            trained_prevalence=prevalence,
        )

    def fuse(self, folder: Path, members: dict[str, pd.DataFrame], **settings: Any) -> pd.DataFrame:
        for name, rows in {**members, "train": self.train, "test": self.test}.items():
            write_parquet(folder / f"{name}.parquet", rows)
        write_yaml(folder / "fusion.yaml", {"members": [*members], **settings})
        given = [f"{name}={folder / name}.parquet" for name in members]
        options = ["--train", folder / "train.parquet", "--test", folder / "test.parquet"]
        out = ["--output", folder / "fused.parquet", "--weights", folder / "fused.json"]
        call(script, "--settings", folder / "fusion.yaml", "--members", *given, *options, *out)
        return read_predictions(folder / "fused.parquet")

    def test_scores(self, rows: pd.DataFrame) -> tuple[float, float]:
        test = rows[rows["part"] == "test"]
        target = test["image"].map(self.rows.set_index("image")["target"]).to_numpy()
        probability = test["probability"].to_numpy()
        return float(auroc(target, probability)), float(measured(Calibration(target, probability))["ece"])


@pytest.fixture(scope="module")
def study() -> Study:
    return Study()


@pytest.mark.parametrize("method", METHODS)
def test_members_of_the_studys_prevalence_are_fused_as_without_correction(
    study: Study, tmp_path: Path, method: str
) -> None:
    members = {"one": study.member(0), "two": study.member(1)}
    weights = {"weights": {"one": 1, "two": 2}} if method == "weighted" else {}
    fused = [
        study.fuse(tmp_path, members, method=method, prior_correction=corrected, **weights)
        for corrected in (True, False)
    ]
    pd.testing.assert_frame_equal(*fused, check_exact=True)
    assert read_json(tmp_path / "fused.json")["model"]["prior_shifts"] == {}


def test_each_member_keeps_its_order_and_gets_the_odds_of_the_study(study: Study) -> None:
    members = {"natural": study.member(0), "even": study.member(1, trained=0.5)}
    shifts = prior_shifts(members, study.train)
    assert set(shifts) == {"even"}
    assert shifts["even"] == pytest.approx(logit(study.train["target"].mean()), abs=0.01)
    after = corrected(members, shifts)
    assert after["natural"] is members["natural"]
    np.testing.assert_allclose(after["even"]["logit"], members["even"]["logit"] + shifts["even"])
    np.testing.assert_allclose(after["even"]["probability"], sigmoid(after["even"]["logit"]))
    assert study.test_scores(after["even"])[0] == study.test_scores(members["even"])[0]


def test_a_corrected_mean_is_calibrated_and_better_than_its_members(study: Study, tmp_path: Path) -> None:
    members = {"natural": study.member(0), "even": study.member(1, trained=0.5)}
    best = max(study.test_scores(rows)[0] for rows in members.values())
    (with_it, error), (without, error_without) = (
        study.test_scores(study.fuse(tmp_path, members, method="mean", prior_correction=corrected))
        for corrected in (True, False)
    )
    assert with_it > without and with_it > best
    assert error < 0.5 * error_without


def test_extra_training_images_of_another_prevalence_are_corrected() -> None:
    """A training that also sees extra images of prevalence .6 expects too many melanomas in the study."""
    study = Study(extra=3000)
    members = {"one": study.member(0)}
    in_study = study.train.loc[study.train["fold"] >= 0, "target"].mean()
    after = corrected(members, prior_shifts(members, study.train))
    assert members["one"]["probability"].mean() > 2 * in_study
    assert after["one"]["probability"].mean() == pytest.approx(in_study, abs=0.01)


def test_a_member_of_unknown_prevalence_is_not_shifted(study: Study) -> None:
    assert prior_shifts({"theirs": study.member(0, trained=np.nan)}, study.train) == {}


@pytest.mark.parametrize("method", ["mean", "logit_mean", "weighted", "logistic"])
def test_a_saved_fusion_shifts_its_members_as_the_study_did(study: Study, tmp_path: Path, method: str) -> None:
    members = {"natural": study.member(0), "even": study.member(1, trained=0.5)}
    fused = study.fuse(tmp_path, members, method=method)
    test = {name: rows[rows["part"] == "test"].assign(patient_distance=np.nan) for name, rows in members.items()}
    again = saved_fusion.load(tmp_path / "fused.json").predict(test, study.test)
    assert again["probability"].tolist() == fused.loc[fused["part"] == "test", "probability"].tolist()


def test_without_labels_of_train_the_log_says_that_nothing_was_corrected(
    study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_parquet(tmp_path / "one.parquet", study.member(0, trained=0.5))
    write_parquet(tmp_path / "two.parquet", study.member(1))
    write_yaml(tmp_path / "fusion.yaml", {"members": ["one", "two"]})
    given = [f"{name}={tmp_path / name}.parquet" for name in ("one", "two")]
    output = tmp_path / "fused.parquet"
    with caplog.at_level("INFO", logger="melanoma"):
        call(script, "--settings", tmp_path / "fusion.yaml", "--members", *given, "--output", output)
    assert "no prior correction" in caplog.text
