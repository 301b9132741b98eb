"""The selected model: a fusion only where it is shown to be better than the best single model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import select_model as script
from effort import drawn
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, write_parquet, write_yaml
from melanoma.config.study import Fuse, FusionSettings
from melanoma.fusion.rules import fuse
from melanoma.fusion.select_model import select_model
from melanoma.fusion.stacking import cross_fits, fit_function, fusion_table
from melanoma.stats.metrics import auroc


def settings(replicates: int, seed: int) -> Fuse:
    return Fuse(significance_level=0.05, replicates=replicates, seed=seed)


def cohort(seed: int, images: int = 240) -> tuple[np.random.Generator, pd.DataFrame, np.ndarray]:
    """Draw patients of four images each, their labels, and what a perfect model would see."""
    generator = np.random.default_rng(seed)
    patient = np.arange(images) // 4
    signal = 0.5 * generator.normal(size=images // 4)[patient] + generator.normal(size=images)
    rows = pd.DataFrame(
        {
            "image": [f"ISIC_{number:07d}" for number in range(images)],
            "patient": [f"IP_{number}" for number in patient],
            "part": "train",
            "fold": (patient % 2).astype(np.int8),
            "age": 50.0,
            "sex": "male",
            "site": "torso",
            "target": (generator.random(images) < 1 / (1 + np.exp(1.5 - 1.5 * signal))).astype(int),
        }
    )
    return generator, rows, signal


def predicted(rows: pd.DataFrame, score: np.ndarray) -> pd.DataFrame:
    return rows.assign(logit=score, probability=1 / (1 + np.exp(-score)), patient_distance=np.nan)


def fused(members: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Fuse by rules, by weights and by a stack with patient context."""
    fusions = {method: fuse(members, method) for method in ("mean", "rank_mean")}
    first = next(iter(members.values()))
    known = first[["image", "target", "age", "sex", "site"]]
    table = fusion_table(members, known, known.iloc[:0].drop(columns="target"), context=True)
    weighted = FusionSettings(method="weighted", members=tuple(members))
    stacked = FusionSettings(method="logistic", members=tuple(members), inputs=(), context=True)
    for name, chosen in {"weighted": weighted, "stacked": stacked}.items():
        probability = cross_fits(table, fit_function(chosen), 5, 1).probability
        fusions[name] = first.assign(probability=probability)
    return fusions


@pytest.mark.many_cases
def test_where_fusion_cannot_help_it_is_adopted_at_most_seven_times_in_a_hundred() -> None:
    """One model knows all that there is to know, the other nothing; four fusions try."""
    adopted, cohorts = 0, drawn(30, 200)
    for seed in range(cohorts):
        generator, rows, signal = cohort(seed)
        members = {"good": predicted(rows, signal), "noise": predicted(rows, generator.normal(size=len(rows)))}
        adopted += select_model(members, fused(members), settings(200, seed))["adopted"]
    assert adopted <= 0.07 * cohorts


def test_a_fusion_of_two_models_that_each_see_a_part_is_adopted() -> None:
    generator, rows, signal = cohort(1, images=1200)
    members = {name: predicted(rows, signal + generator.normal(size=len(rows))) for name in ("one", "two")}
    found = select_model(members, fused(members), settings(500, 1))
    assert found["adopted"] and found["selected_model"] in found["tests"]
    chosen = found["tests"][found["selected_model"]]
    assert chosen["adopted"] and chosen["p_holm"] < 0.05 and chosen["difference"] > 0


def test_the_best_single_model_is_selected_where_no_fusion_is_better() -> None:
    generator, rows, signal = cohort(2)
    members = {"noise": predicted(rows, generator.normal(size=len(rows))), "good": predicted(rows, signal)}
    found = select_model(members, {"mean": fuse(members, "mean")}, settings(200, 1))
    assert (found["selected_model"], found["best_single"], found["adopted"]) == ("good", "good", False)
    assert found["auroc"]["good"] == pytest.approx(auroc(rows["target"], signal))
    assert found["tests"]["mean"]["difference"] < 0 and found["tests"]["mean"]["p"] > 0.5


def test_a_fusion_that_is_the_best_model_itself_is_not_adopted() -> None:
    _, rows, signal = cohort(3)
    good = predicted(rows, signal)
    found = select_model({"good": good}, {"copy": good, "other": good}, settings(200, 1))
    assert found["selected_model"] == "good" and found["tests"]["copy"]["p"] == 0.5


def test_more_fusions_make_each_harder_to_adopt() -> None:
    generator, rows, signal = cohort(4)
    good = predicted(rows, signal)
    better = predicted(rows, signal + 0.1 * rows["target"].to_numpy())
    noise = {f"f{n}": predicted(rows, generator.normal(size=len(rows))) for n in range(9)}
    alone = select_model({"good": good}, {"better": better}, settings(200, 1))["tests"]["better"]
    among = select_model({"good": good}, {"better": better} | noise, settings(200, 1))["tests"]["better"]
    assert alone["p"] == among["p"] and among["p_holm"] == pytest.approx(10 * alone["p_holm"])


def test_a_study_without_fusions_has_a_selected_model_and_one_class_has_none() -> None:
    _, rows, signal = cohort(5)
    good = predicted(rows, signal)
    assert select_model({"good": good}, {}, settings(200, 1))["selected_model"] == "good"
    with pytest.raises(InputError, match="are of one class"):
        select_model({"good": good.assign(target=0)}, {}, settings(200, 1))


def test_the_fold_of_the_trials_is_left_out() -> None:
    """A tuned model that is perfect on the fold of its trials only is not selected."""
    generator, rows, signal = cohort(7)
    tuned = np.where(rows["fold"] == 0, 9.0 * rows["target"], generator.normal(size=len(rows)))
    members = {"plain": predicted(rows, signal + 2 * generator.normal(size=len(rows))), "tuned": predicted(rows, tuned)}
    assert select_model(members, {}, settings(200, 1))["selected_model"] == "tuned"
    selection = select_model(members, {}, settings(200, 1), tuning_fold=0)
    assert selection["selected_model"] == "plain" and selection["tuning_fold"] == 0
    assert selection["n"] == (rows["fold"] == 1).sum()


def test_the_script_reads_out_of_fold_rows_and_labels_of_train_alone(tmp_path: Path) -> None:
    generator, rows, signal = cohort(6)
    members = {"good": predicted(rows, signal), "noise": predicted(rows, generator.normal(size=len(rows)))}
    paths = {name: tmp_path / f"{name}.parquet" for name in [*members, "mean", "tested"]}
    for name, table in (members | {"mean": fuse(members, "mean")}).items():
        write_parquet(paths[name], table.drop(columns="target"))
    write_parquet(paths["tested"], members["good"].assign(part="test", fold=-1).drop(columns="target"))
    write_parquet(tmp_path / "train.parquet", rows[["image", "target"]])
    write_yaml(tmp_path / "fuse.yaml", {"significance_level": 0.05, "replicates": 200, "folds": 5, "seed": 1})
    options = ["--settings", tmp_path / "fuse.yaml", "--train", tmp_path / "train.parquet"]
    options += ["--models", *(f"{name}={paths[name]}" for name in ("good", "noise", "tested"))]
    options += ["--fusions", f"mean={paths['mean']}", "--output", tmp_path / "selected_model.json"]
    call(script, *options)
    found = read_json(tmp_path / "selected_model.json")
    assert found["selected_model"] == "good" and set(found["auroc"]) == {"good", "noise", "mean"}
    assert (found["n"], found["unit"], found["units"]) == (240, "patient", 60)
