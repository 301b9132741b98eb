"""The demo study has the layout of real data, a known truth, and the same bytes every time."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import draw_lesions as script
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json
from melanoma.config.data import Generate
from melanoma.demo.cohort import (
    MOST_IMAGES_OF_A_PATIENT,
    SIZE_CHANCES,
    SIZES,
    kaggle_table,
    make_cohort,
    metadata_score,
    truth,
    write_photographs,
)
from melanoma.demo.images import draw_photograph, draw_traits

KAGGLE_COLUMNS = [
    "image_name",
    "patient_id",
    "sex",
    "age_approx",
    "anatom_site_general_challenge",
    "diagnosis",
    "benign_malignant",
    "target",
]
SITES = {"torso", "lower extremity", "upper extremity", "head/neck", "palms/soles", "oral/genital"}


def demo_settings(**changes: float) -> Generate:
    """Return the settings of the demo study, with `changes`."""
    return Generate().model_copy(update=changes)


def made(folder: Path, *extra: str) -> Path:
    outputs = ["--output-table", f"{folder}/train.csv", "--output-images", f"{folder}/jpeg"]
    outputs += ["--output-truth", f"{folder}/truth.json", "--output-scores", f"{folder}/scores.csv"]
    signals = ["--prevalence", "0.25", "--pixel-signal", "2.4", "--metadata-signal", "2.4"]
    call(script, *outputs, *signals, "--images", 40, "--seed", 1, *extra)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("demo"), "--processes", "2")


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return make_cohort(demo_settings(images=20_000))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.large
def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(study: Path, tmp_path: Path) -> None:
    assert files(study) == files(made(tmp_path, "--processes", "1"))


def test_another_seed_gives_another_study() -> None:
    first, second = make_cohort(demo_settings(images=40)), make_cohort(demo_settings(images=40, seed=2))
    assert not np.isclose(first["s"], second["s"]).any()


def test_the_table_has_kaggles_columns_and_words_and_nothing_of_the_truth(study: Path) -> None:
    table = pd.read_csv(study / "train.csv")
    assert list(table.columns) == KAGGLE_COLUMNS
    assert table["image_name"].is_unique and table["image_name"].str.fullmatch(r"ISIC_\d{7}").all()
    assert table["patient_id"].str.fullmatch(r"IP_\d{7}").all()
    assert {path.stem for path in (study / "jpeg").glob("*.jpg")} == set(table["image_name"])


def test_words_and_missing_values_are_those_of_the_challenge(large: pd.DataFrame) -> None:
    table = kaggle_table(large)
    assert set(table["sex"].dropna()) == {"male", "female"}
    assert set(table["anatom_site_general_challenge"].dropna()) == SITES
    assert set(table["diagnosis"]) == {"melanoma", "nevus", "unknown"}
    assert ((table["diagnosis"] == "melanoma") == (table["target"] == 1)).all()
    assert ((table["benign_malignant"] == "malignant") == (table["target"] == 1)).all()
    for column in ["sex", "age_approx", "anatom_site_general_challenge"]:
        assert 0 < table[column].isna().mean() < 0.05


def test_a_patient_has_one_age_and_sex_and_at_most_fifteen_images(large: pd.DataFrame) -> None:
    patients = large.groupby("patient")
    assert (patients[["age", "sex"]].nunique(dropna=False) == 1).all(axis=None)
    assert patients.size().min() == 1 and patients.size().max() == MOST_IMAGES_OF_A_PATIENT


def test_every_photograph_is_a_jpeg_of_the_size_the_cohort_says(study: Path) -> None:
    for row in make_cohort(demo_settings(images=40)).itertuples():
        data = (study / "jpeg" / f"{row.image}.jpg").read_bytes()
        assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (
            row.height,
            row.width,
            3,
        )


def test_sizes_include_portrait_and_a_few_of_24_megapixels(large: pd.DataFrame) -> None:
    share = large.value_counts(["width", "height"], normalize=True)
    assert share.loc[SIZES].to_numpy() == pytest.approx(SIZE_CHANCES, abs=0.015)
    assert any(width < height for width, height in SIZES)
    assert 0 < share.loc[(6000, 4000)] < 0.02


@pytest.mark.parametrize("size", SIZES)
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    image = draw_photograph(np.random.default_rng(0), size, 0.0)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8
    assert 60 < image.mean() < 240 and image.std() > 8


def test_metadata_score_is_a_function_of_the_table_and_a_missing_value_adds_nothing(study: Path) -> None:
    table, scores = pd.read_csv(study / "train.csv"), pd.read_csv(study / "scores.csv")
    columns = ["age_approx", "sex", "anatom_site_general_challenge"]
    assert metadata_score(*(table[column] for column in columns)) == pytest.approx(scores["m"], abs=1e-12)
    whole, without_age = pd.Series([70.0, np.nan]), pd.Series([50.0, 50.0])
    sex, site = pd.Series(["male", "male"]), pd.Series(["torso", "torso"])
    assert metadata_score(whole, sex, site)[1] == metadata_score(without_age, sex, site)[1]
    nothing = pd.Series([None], dtype=object)
    assert metadata_score(pd.Series([np.nan]), nothing, nothing).tolist() == [0.0]


@pytest.mark.parametrize("signals", [(2.6, 1.8), (1.0, 0.5), (0.0, 1.0)])
def test_bayes_aurocs_are_those_of_a_large_simulated_cohort(signals: tuple[float, float]) -> None:
    settings = demo_settings(images=200_000, pixel_signal=signals[0], metadata_signal=signals[1])
    cohort = make_cohort(settings)
    best = truth(settings, cohort)["bayes_auroc"]
    for name, column in {"joint": "log_odds", "image": "s", "metadata": "m"}.items():
        simulated = roc_auc_score(cohort["target"], cohort[column])
        assert best["population"][name] == pytest.approx(simulated, abs=0.005)
        assert best["cohort"][name] == pytest.approx(simulated, abs=1e-9)


def test_the_default_study_leaves_room_for_fusion() -> None:
    facts = truth(demo_settings(), make_cohort(demo_settings()))
    best = facts["bayes_auroc"]["population"]
    assert 0.79 < best["image"] < 0.82
    assert 0.79 < best["metadata"] < 0.82
    assert 0.92 < best["joint"] < 0.95
    assert facts["margin"] == pytest.approx(best["joint"] - best["image"]) and facts["margin"] > 0.12
    assert facts["bayes_auroc"]["cohort"]["joint"] == pytest.approx(best["joint"], abs=0.03)


def test_without_signal_nothing_beats_chance() -> None:
    settings = demo_settings(images=20_000, pixel_signal=0, metadata_signal=0)
    best = truth(settings, make_cohort(settings))["bayes_auroc"]
    assert best["population"] == pytest.approx({"joint": 0.5, "image": 0.5, "metadata": 0.5})
    assert best["cohort"] == pytest.approx({"joint": 0.5, "image": 0.5, "metadata": 0.5}, abs=0.015)


@effort(max_examples=4, deadline=None)
@given(st.floats(0, 4), st.floats(0, 4), st.floats(0.02, 0.6))
def test_signals_and_prevalence_change_labels_alone(pixel: float, metadata: float, prevalence: float) -> None:
    cohort = make_cohort(
        demo_settings(images=3000, pixel_signal=pixel, metadata_signal=metadata, prevalence=prevalence)
    )
    same = ["image", "patient", "age", "sex", "site", "width", "height", "s", "m"]
    pd.testing.assert_frame_equal(cohort[same], make_cohort(demo_settings(images=3000))[same])
    assert cohort["target"].mean() == pytest.approx(prevalence, abs=0.04)


def test_scores_are_standard_and_alike_within_a_patient(large: pd.DataFrame) -> None:
    assert large["s"].mean() == pytest.approx(0, abs=0.04) and large["s"].std() == pytest.approx(1, abs=0.03)
    assert large["m"].std() == pytest.approx(1, abs=0.1)
    pairs = large.groupby("patient")["s"].head(2).groupby(large["patient"]).agg(["first", "last", "size"])
    pairs = pairs[pairs["size"] == 2]
    assert np.corrcoef(pairs["first"], pairs["last"])[0, 1] == pytest.approx(0.2, abs=0.06)


def test_size_and_position_in_the_table_say_nothing_about_the_label(large: pd.DataFrame) -> None:
    for shortcut in [large["width"], large["height"], large["width"] * large["height"], large.index]:
        assert roc_auc_score(large["target"], shortcut) == pytest.approx(0.5, abs=0.02)


def test_hairs_ruler_light_and_skin_are_the_same_whatever_the_score() -> None:
    for seed in range(12):
        low, high = (draw_photograph(np.random.default_rng(seed), (640, 480), score) for score in (-2.0, 2.0))
        for corner in [np.s_[:40, :40], np.s_[:40, -40:], np.s_[-40:, :40], np.s_[-40:, -40:]]:
            assert (low[corner] == high[corner]).all()
        assert (low != high).any()


def test_every_trait_rises_with_the_score() -> None:
    scores = np.linspace(-2, 2, 200)
    traits = [list(vars(draw_traits(np.random.default_rng(n), score)).values()) for n, score in enumerate(scores)]
    for trait in np.transpose(traits):
        assert trait.min() > 0 and trait.max() < 1 and spearmanr(trait, scores).statistic > 0.9


def test_the_photographs_show_the_score(study: Path) -> None:
    scores = pd.read_csv(study / "scores.csv")
    contrast = [cv2.imread(str(study / "jpeg" / f"{name}.jpg"))[:, :, 2].std() for name in scores["image"]]
    assert spearmanr(contrast, scores["s"]).statistic > 0.5


def test_an_interrupted_run_leaves_no_folder_that_passes_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(items: Iterator[None], *_: object) -> Iterator[None]:
        yield next(items)
        raise KeyboardInterrupt

    settings = demo_settings(images=4)
    cohort = make_cohort(settings)
    with monkeypatch.context() as patch:
        patch.setattr("melanoma.demo.cohort.progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_photographs(tmp_path / "jpeg", cohort, settings, 1)
    assert not (tmp_path / "jpeg").exists()
    write_photographs(tmp_path / "jpeg", cohort, settings, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["jpeg"]
    assert len(list((tmp_path / "jpeg").glob("*.jpg"))) == 4


def test_images_already_there_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "jpeg").mkdir()
    (tmp_path / "jpeg" / "mine.jpg").write_bytes(b"mine")
    settings = demo_settings(images=2)
    with pytest.raises(InputError, match="Remove it"):
        write_photographs(tmp_path / "jpeg", make_cohort(settings), settings, 1)
    assert (tmp_path / "jpeg" / "mine.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(("option", "value"), [("images", "0"), ("prevalence", "1"), ("pixel_signal", "-1")])
def test_impossible_settings_are_refused(tmp_path: Path, option: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"^{option}: "):
        made(tmp_path, f"--{option.replace('_', '-')}", value)


def test_the_truth_is_plain_json(study: Path) -> None:
    facts = read_json(study / "truth.json")
    assert facts["images"] == 40
    assert facts["settings"]["seed"] == 1
    assert facts["melanomas"] == pd.read_csv(study / "train.csv")["target"].sum()
