"""Fusion covers the same images, keeps its invariants, and never learns from test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import fuse as script
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_parquet, write_yaml
from melanoma.fusion.rules import aligned, fuse, simplex_minimum
from melanoma.predictions.table import COLUMNS, read_predictions
from melanoma.stats.log_odds import logit
from melanoma.stats.metrics import auroc, log_loss
from real_data import real_data


def predictions(probability: np.ndarray, train: int = 0) -> pd.DataFrame:
    """Make predictions whose first `train` rows are out of fold, in two folds, and whose rest is test."""
    n = len(probability)
    part = np.where(np.arange(n) < train, "train", "test")
    return pd.DataFrame(
        {
            "image": [f"ISIC_{i:07d}" for i in range(n)],
            "patient": [f"IP_{i // 3}" for i in range(n)],
            "part": part,
            "fold": np.where(part == "train", np.arange(n) % 2, -1).astype(np.int8),
            "logit": logit(probability),
            "probability": np.asarray(probability, dtype=np.float64),
            "target": pd.array([None] * n, "Int8"),
        }
    )


def study(seed: int, n: int = 300, train: int = 200) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Make a good, a poor and an over-confident member, and all labels."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=n)
    target = (generator.random(n) < 1 / (1 + np.exp(1 - 2 * signal))).astype(int)
    logits = {
        "good": 2 * signal - 1 + generator.normal(size=n),
        "poor": generator.normal(size=n),
        "confident": 8 * (signal + generator.normal(size=n)),
    }
    return {name: predictions(1 / (1 + np.exp(-value)), train) for name, value in logits.items()}, target


def labels(target: np.ndarray, train: int = 200) -> pd.DataFrame:
    return pd.DataFrame({"image": [f"ISIC_{i:07d}" for i in range(train)], "target": target[:train]})


probabilities = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=4, max_size=30).map(np.array)


@given(probabilities, st.integers(1, 4))
def test_the_mean_of_one_model_with_itself_is_the_model(probability: np.ndarray, count: int) -> None:
    member = predictions(probability, train=2)
    members = {str(i): member for i in range(count)}
    weights = {str(i): i + 1 for i in range(count)}
    for fused in (fuse(members, "mean"), fuse(members, "logit_mean"), fuse(members, "weighted", weights)):
        np.testing.assert_allclose(fused["probability"], probability, rtol=0, atol=1e-15)
        made = ["probability", "logit", "trained_prevalence", "patient_distance"]
        assert fused.drop(columns=made).equals(member.drop(columns=made, errors="ignore"))


@given(probabilities, st.integers(0, 99), st.floats(0.2, 5))
def test_a_rank_mean_does_not_change_under_monotone_maps_of_its_members(
    probability: np.ndarray, seed: int, power: float
) -> None:
    other = np.random.default_rng(seed).permutation(probability)
    plain = fuse({"a": predictions(probability, 2), "b": predictions(other, 2)}, "rank_mean")
    bent = fuse({"a": predictions(probability**power, 2), "b": predictions(1 - (1 - other) ** 3, 2)}, "rank_mean")
    assert plain["probability"].equals(bent["probability"])
    assert plain["probability"].between(0, 1, inclusive="right").all()
    assert np.isfinite(plain["logit"]).all()


def test_ranks_are_taken_within_train_and_within_test() -> None:
    member = predictions(np.array([0.9, 0.8, 0.2, 0.1]), train=2)
    assert fuse({"a": member}, "rank_mean")["probability"].tolist() == [1.0, 0.5, 1.0, 0.5]


def test_tied_scores_share_their_mean_rank() -> None:
    member = predictions(np.array([0.5, 0.5, 0.1, 0.9]))
    assert fuse({"a": member}, "rank_mean")["probability"].tolist() == [0.625, 0.625, 0.25, 1.0]


@given(st.integers(0, 99))
def test_members_are_joined_by_image_not_by_row(seed: int) -> None:
    members, _ = study(seed, 30, 20)
    shuffled = members | {"poor": members["poor"].sample(frac=1, random_state=seed)}
    assert fuse(members, "mean").equals(fuse(shuffled, "mean"))


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_no_other_weights_of_the_simplex_have_less_log_loss(seed: int) -> None:
    members, target = study(seed)
    columns = aligned(members)
    found = simplex_minimum(columns, target)
    best = log_loss(target, columns @ found)
    corners = np.eye(3)
    inside = np.random.default_rng(seed).dirichlet(np.ones(3), size=200)
    for weights in [*corners, *inside, *(0.99 * found + 0.01 * corners)]:
        assert best <= log_loss(target, columns @ weights) + 1e-9


def test_fitted_weights_of_two_members_are_those_of_a_line_search() -> None:
    members, target = study(5)
    columns = aligned(members)[:, :2]
    searched = minimize_scalar(
        lambda w: log_loss(target, columns @ [w, 1 - w]),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert simplex_minimum(columns, target)[0] == pytest.approx(searched.x, abs=1e-4)


def test_a_member_that_is_certain_and_wrong_does_not_break_the_fit() -> None:
    target = np.array([0, 1] * 10)
    columns = np.stack([np.full(20, 0.5), 1.0 - target], axis=1)
    assert simplex_minimum(columns, target) == pytest.approx([1, 0], abs=1e-6)


def test_members_of_different_images_are_refused_by_name() -> None:
    members, _ = study(0, 12, 6)
    short = members | {"poor": members["poor"].iloc[:-2]}
    with pytest.raises(InputError, match=r"(?s)good and poor .*2 only in good.*ISIC_0000010.*ISIC_0000011"):
        fuse(short, "mean")
    with pytest.raises(InputError, match="2 only in good"):
        fuse({"poor": short["poor"], "good": short["good"]}, "mean")


def test_members_that_ran_other_folds_are_refused() -> None:
    members, _ = study(0, 12, 6)
    members["poor"] = members["poor"][members["poor"]["fold"] != 1]
    with pytest.raises(InputError, match="must run the same folds"):
        fuse(members, "mean")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"good": 1.0}, "without a weight: poor, confident"),
        ({"good": 1, "poor": 1, "confident": 1, "god": 1}, "not a member: god"),
        ({"good": 1, "poor": -1, "confident": 1}, "0 or more"),
        ({"good": 0, "poor": 0, "confident": 0}, "not all 0"),
    ],
)
def test_weights_that_do_not_fit_the_members_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fuse(study(0)[0], "weighted", weights)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"median.*mean, logit_mean, rank_mean, weighted"):
        fuse(study(0)[0], "median")


def run_fuse(folder: Path, settings: dict[str, object], members: dict[str, pd.DataFrame], *more: str) -> None:
    write_yaml(folder / "fusion.yaml", settings)
    named = []
    for name, member in members.items():
        write_parquet(folder / f"{name}.parquet", member.drop(columns="target"))
        named.append(f"{name}={folder / name}.parquet")
    outputs = ["--output", folder / "fused.parquet", "--weights", folder / "fused.json"]
    call(script, "--settings", folder / "fusion.yaml", "--members", *named, *outputs, *more)


def test_the_script_fits_weights_and_writes_predictions(tmp_path: Path) -> None:
    members, target = study(1)
    write_parquet(tmp_path / "train.parquet", labels(target))
    chosen = {"method": "weighted", "members": ["confident", "good"], "weights": None}
    run_fuse(tmp_path, chosen, members, "--train", str(tmp_path / "train.parquet"))
    fused = pd.read_parquet(tmp_path / "fused.parquet")
    assert list(fused) == COLUMNS and fused["patient_distance"].isna().all()
    report = read_json(tmp_path / "fused.json")
    weights = report["weights"]
    assert list(weights) == ["confident", "good"]
    expected = sum(weights[name] * members[name]["probability"] for name in weights)
    is_test = fused["part"] == "test"
    np.testing.assert_allclose(fused["probability"][is_test], expected[is_test], rtol=1e-14)
    np.testing.assert_allclose(fused["logit"], logit(fused["probability"]), rtol=1e-9)
    assert report["fitted"]
    assert report["rows"] == 200
    assert report["log_loss"]["fused"] == pytest.approx(log_loss(target[:200], fused["probability"][~is_test]))
    assert read_predictions(tmp_path / "fused.parquet")["probability"].equals(fused["probability"])


def test_the_script_takes_fixed_weights_without_labels(tmp_path: Path) -> None:
    members, _ = study(1)
    chosen = {"method": "weighted", "members": ["good", "poor"], "weights": {"good": 3.0, "poor": 1.0}}
    run_fuse(tmp_path, chosen, members)
    assert read_json(tmp_path / "fused.json")["weights"] == {"good": 0.75, "poor": 0.25}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"method": "median", "members": ["good", "poor"]}, "'median' is not allowed"),
        ({"method": "mean", "members": ["good", "poor"], "wieghts": None}, "did you mean 'weights'"),
        ({"method": "mean", "members": ["good", "best"]}, "without predictions: best"),
        ({"method": "weighted", "members": ["good", "poor"]}, "--train"),
    ],
)
def test_the_script_refuses_settings_that_make_no_fusion(
    tmp_path: Path, chosen: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_fuse(tmp_path, chosen, study(0)[0])


def published(name: str) -> pd.DataFrame:
    return read_predictions(real_data(f"published-predictions/{name}_test_predictions.csv"))


def fused_auroc(members: dict[str, pd.DataFrame], method: str) -> float:
    fused = fuse(members, method)
    return float(auroc(fused["target"].to_numpy(int), fused["probability"]))


@pytest.mark.real_data
def test_fusions_of_published_predictions_have_their_known_auroc() -> None:
    pair = {"cnn": published("CNN"), "resnest269": published("ResNeSt269")}
    assert fused_auroc(pair, "mean") == pytest.approx(0.907532, abs=1e-6)
    assert fused_auroc(pair, "rank_mean") == pytest.approx(0.918319, abs=1e-6)
    large = published("ResNeSt200")
    common = large[large["image"].isin(pair["resnest269"]["image"])]
    assert len(common) == 6626
    both = {"resnest269": pair["resnest269"], "resnest200": common}
    assert fused_auroc(both, "rank_mean") == pytest.approx(0.934720, abs=1e-6)


@pytest.mark.real_data
def test_the_third_place_of_the_challenge_is_a_weighted_mean_of_its_files() -> None:
    folder = real_data("published-predictions/third-place")
    files = {path.stem: pd.read_csv(path) for path in folder.glob("submission_EfficientNet*.csv")}
    weights = dict.fromkeys(files, 0.1) | {"metadata": 0.2}
    files["metadata"] = pd.read_csv(folder / "submission_simple_baseline.csv")
    members = {
        name: predictions(np.zeros(len(file))).assign(image=file["image_name"], probability=file["target"])
        for name, file in files.items()
    }
    expected = pd.read_csv(folder / "ensemble.csv").set_index("image_name")["target"]
    fused = fuse(members, "weighted", weights).set_index("image")["probability"]
    np.testing.assert_allclose(fused[expected.index], expected, rtol=0, atol=1e-15)
