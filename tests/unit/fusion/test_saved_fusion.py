"""Every metadata model and fusion is kept whole: a new process that has its file alone predicts what the study did."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import fuse
import predict_tabular as tabular
import tiny
from fresh import fresh
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import write_parquet, write_yaml
from melanoma.fusion import saved_fusion as fusion_file
from melanoma.fusion.priors import corrected
from melanoma.fusion.saved_fusion import Fusion
from melanoma.fusion.stacking import read_table
from melanoma.models import tabular as models
from melanoma.stats.calibration import patient_folds

NETWORKS = ["logistic_regression", "random_forest", "naive_bayes", "gradient_boosting"]
BOOSTING = {"max_iter": 12, "learning_rate": 0.1, "max_leaf_nodes": 4, "min_samples_leaf": 5, "l2_regularization": 1.0}
FUSIONS = {
    "mean": {"method": "mean"},
    "logit_mean": {"method": "logit_mean"},
    "rank_mean": {"method": "rank_mean"},
    "given": {"method": "weighted", "weights": {"forest": 0.7, "bayes": 0.1}},
    "weighted": {"method": "weighted"},
    "logistic": {"method": "logistic", "inputs": ["age", "sex", "site", "size"], "context": True},
    "boosting": {"method": "gradient_boosting", "context": True, "gradient_boosting": BOOSTING},
}
FITTED = ["weighted", "logistic", "boosting"]
PREDICT_METADATA = """
import pandas as pd
from melanoma.models import tabular
tabular.load("kept/model.json").predict(pd.read_parquet("kept/new.parquet")).to_parquet("kept/predicted.parquet")
"""
PREDICT_FUSION = """
import pandas as pd
from melanoma.fusion import saved_fusion as fusion_file
members = {name: pd.read_parquet(f"kept/{name}.parquet") for name in ("forest", "bayes")}
fused = fusion_file.load("kept/model.json").predict(members, pd.read_parquet("kept/new.parquet"))
fused.to_parquet("kept/predicted.parquet")
"""


class Study:
    """The split of a small study, and its scripts for metadata models and fusions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw = np.random.default_rng(0)
        rows = tiny.table(240).assign(width=draw.integers(500, 6000, 240), height=draw.integers(500, 4000, 240))
        is_test = np.arange(240) // 2 % 4 == 3
        self.train = rows[~is_test].reset_index(drop=True)
        self.test = rows[is_test].drop(columns=["target", "fold", "diagnosis"]).reset_index(drop=True)
        write_parquet(folder / "train.parquet", self.train)
        write_parquet(folder / "test.parquet", self.test)

    def split(self) -> list[object]:
        return ["--train", self.folder / "train.parquet", "--test", self.folder / "test.parquet"]

    def fit(
        self, name: str, network: str, test_by: str = "refit", inputs: Sequence[str] = ("age", "sex", "site")
    ) -> None:
        forest = {"n_estimators": 20, "max_depth": 3}
        changes = {"inputs": [*inputs], "random_forest": forest, "gradient_boosting": BOOSTING}
        tiny.write_recipe(self.folder / "recipe.yaml", network=network, **changes)
        out = ["--output", self.folder / f"{name}.parquet", "--model", self.folder / f"{name}.json"]
        recipe_and_folds = ["--recipe", self.folder / "recipe.yaml", "--folds", 0, 1, 2, "--test-by", test_by]
        call(tabular, *recipe_and_folds, *self.split(), *out)

    def fuse(self, name: str) -> None:
        write_yaml(self.folder / "fusion.yaml", FUSIONS[name] | {"members": ["forest", "bayes"]})
        members = [f"{member}={self.folder / member}.parquet" for member in ("forest", "bayes")]
        out = ["--output", self.folder / f"{name}.parquet", "--weights", self.folder / f"{name}.json"]
        call(fuse, "--settings", self.folder / "fusion.yaml", "--members", *members, *self.split(), *out)

    def predictions(self, name: str, part: str) -> pd.DataFrame:
        rows = pd.read_parquet(self.folder / f"{name}.parquet")
        return rows[rows["part"] == part].reset_index(drop=True)

    def elsewhere(self, name: str, rows: pd.DataFrame, code: str, **members: pd.DataFrame) -> pd.DataFrame:
        """Predict `rows` in a new process, in a folder with the file of the model and these tables alone."""
        kept = self.folder / "elsewhere" / "kept"
        kept.mkdir(parents=True)
        (kept / "model.json").write_bytes((self.folder / f"{name}.json").read_bytes())
        write_parquet(kept / "new.parquet", rows)
        for member, predicted in members.items():
            write_parquet(kept / f"{member}.parquet", predicted)
        fresh(kept.parent, code)
        return pd.read_parquet(kept / "predicted.parquet")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


@pytest.fixture
def fused(study: Study) -> Study:
    study.fit("forest", "random_forest")
    study.fit("bayes", "naive_bayes")
    return study


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("test_by", ["refit", "fold_mean"])
def test_a_metadata_model_predicts_new_rows_from_its_file_alone(study: Study, network: str, test_by: str) -> None:
    study.fit("model", network, test_by, ["age", "sex", "site", "images_per_patient", "size"])
    known = study.test.drop(columns=["row", "source", "lesion"])
    found, expected = study.elsewhere("model", known, PREDICT_METADATA), study.predictions("model", "test")
    for column in ("image", "patient", "probability", "logit", "trained_prevalence"):
        assert found[column].tolist() == expected[column].tolist(), column


@pytest.mark.parametrize("network", NETWORKS)
def test_a_metadata_models_file_has_the_models_of_all_folds(study: Study, network: str) -> None:
    study.fit("model", network, inputs=["age", "images_per_patient"])
    model, expected = models.load(study.folder / "model.json"), study.predictions("model", "train")
    assert list(model.runs) == ["fold-0", "fold-1", "fold-2", "refit"]
    for fold in range(3):
        # Patients are whole within a fold, so a patient's images are counted in it.
        held_out = study.train[study.train["fold"] == fold].drop(columns="target")
        found = model.predict(held_out, f"fold-{fold}")
        assert found["probability"].tolist() == expected.loc[expected["fold"] == fold, "probability"].tolist()


@pytest.mark.parametrize("name", [name for name in FUSIONS if name != "rank_mean"])
def test_a_fusion_fuses_new_predictions_from_its_file_alone(fused: Study, name: str) -> None:
    fused.fuse(name)
    members = {member: fused.predictions(member, "test").drop(columns="target") for member in ("bayes", "forest")}
    found = fused.elsewhere(name, fused.test, PREDICT_FUSION, **members)
    expected = fused.predictions(name, "test")
    for column in ("image", "probability", "logit"):
        assert found[column].tolist() == expected[column].tolist(), column
    assert_array_equal(found["trained_prevalence"], expected["trained_prevalence"])


def test_a_rank_mean_ranks_a_new_image_among_the_out_of_fold_scores(fused: Study) -> None:
    """The study ranks its test images among each other, which a single one cannot be; out of fold the ranks agree."""
    fused.fuse("rank_mean")
    members = {member: fused.predictions(member, "train").drop(columns="target") for member in ("bayes", "forest")}
    found = fused.elsewhere("rank_mean", fused.train, PREDICT_FUSION, **members)
    expected = fused.predictions("rank_mean", "train")
    assert found["probability"].tolist() == expected["probability"].tolist()
    fusion = fusion_file.load(fused.folder / "rank_mean.json")
    alone = {member: rows[rows["image"] == expected["image"][5]] for member, rows in members.items()}
    assert fusion.predict(alone, fused.train)["probability"].tolist() == [expected["probability"][5]]
    highest = {member: rows.iloc[:1].assign(probability=1.0) for member, rows in members.items()}
    assert fusion.predict(highest, fused.train)["probability"].tolist() == [1.0]


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_fusions_file_has_the_fits_of_its_own_out_of_fold_predictions(fused: Study, name: str) -> None:
    fused.fuse(name)
    members = {member: fused.predictions(member, "train") for member in ("forest", "bayes")}
    fusion, expected = fusion_file.load(fused.folder / f"{name}.json"), fused.predictions(name, "train")
    rows = read_table(corrected(members, fusion.prior_shifts), fused.train, fusion.context)
    fold = patient_folds(rows["target"].to_numpy(int), rows["patient"].to_numpy(str), 5, 1)
    for number, fit in enumerate(fusion.folds):
        own = fold == number
        assert fit.predict(rows[own]).tolist() == expected.loc[own, "probability"].tolist()


@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_fit_gives_the_same_bytes(study: Study, network: str) -> None:
    study.fit("one", network)
    study.fit("two", network)
    assert (study.folder / "one.json").read_bytes() == (study.folder / "two.json").read_bytes()


def test_what_a_new_table_lacks_is_named(study: Study) -> None:
    study.fit("model", "logistic_regression", inputs=["age", "size"])
    model = models.load(study.folder / "model.json")
    with pytest.raises(InputError, match="no column height, width"):
        model.predict(study.test.drop(columns=["width", "height"]))
    with pytest.raises(InputError, match="no run fold-7: give one of fold-0, fold-1, fold-2, refit"):
        model.predict(study.test, "fold-7")
    with pytest.raises(InputError, match="members without predictions: bayes"):
        Fusion("mean", ["forest", "bayes"]).predict({"forest": model.predict(study.test)}, study.test)
