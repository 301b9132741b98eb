"""What an experiment tracker gets of a study: names, options, steps and values of its runs."""

from pathlib import Path

import pytest

import tracked_study
from melanoma.common.errors import InputError
from melanoma.tracking.runs import TrackedRun, tracked_runs


def by_name(results: Path) -> dict[str, TrackedRun]:
    return {run.name: run for run in tracked_runs(results)}


def test_a_training_has_its_curves_by_epoch_and_its_recipe_with_its_own_seed(tmp_path: Path) -> None:
    results = tracked_study.start(tmp_path)
    place = tracked_study.train(results, "fold-0-seed-2", "1,0.1,0.5,0.6\n2,0.05,0.4,0.75\n").relative_to(results)
    training = by_name(results)[str(place)]
    assert training.metrics == [
        ("learning_rate", 1, 0.1),
        ("train_loss", 1, 0.5),
        ("validation_auroc", 1, 0.6),
        ("learning_rate", 2, 0.05),
        ("train_loss", 2, 0.4),
        ("validation_auroc", 2, 0.75),
    ]
    options = training.options
    assert (options["network"], options["optimizer.name"], options["seed"], options["ema"]) == (
        "baseline_cnn",
        "adam",
        "2",
        "null",
    )
    assert training.tags == {"models": "cnn"}


def test_a_refit_has_no_validation_and_so_no_curve_of_it(tmp_path: Path) -> None:
    results = tracked_study.start(tmp_path)
    place = tracked_study.train(results, "refit-seed-1", "1,0.1,0.5,\n").relative_to(results)
    assert by_name(results)[str(place)].metrics == [("learning_rate", 1, 0.1), ("train_loss", 1, 0.5)]


def test_a_trial_has_its_own_recipe(tmp_path: Path) -> None:
    trial = by_name(tracked_study.start(tmp_path))["tune/metadata_mlp-1/trial-2"]
    assert trial.options == {"network": "metadata_mlp", "epochs": "1"}
    assert ("validation_auroc", 1, 0.6) in trial.metrics


def test_an_evaluated_model_has_the_metrics_of_its_tests_with_their_intervals(tmp_path: Path) -> None:
    results = tracked_study.start(tmp_path)
    assert not [name for name in by_name(results) if name.startswith("evaluate/")]
    tracked_study.evaluate(results)
    runs = by_name(results)
    internal = [
        ("n", 0, 52),
        ("auroc", 0, 0.5),
        ("auroc_low", 0, 0.4),
        ("auroc_high", 0, 0.6),
        ("thresholds/youden/threshold", 0, 0.4),
        ("thresholds/youden/sensitivity", 0, 0.9),
    ]
    assert runs["evaluate/theirs"].metrics == internal
    place = "external/clinic (b)/"
    external = [(place + name, 0, value) for name, _, value in internal[1:4]]
    assert runs["evaluate/cnn"].metrics == [*internal, (place + "n", 0, 30), *external]
    assert [runs[f"evaluate/{model}"].tags for model in ("cnn", "theirs")] == [{"selected": "yes"}, {}]


def test_the_options_name_no_home_folder_unless_the_study_allows_it(tmp_path: Path) -> None:
    files = []
    for identifiers in (False, True):
        results = tracked_study.start(tmp_path / str(identifiers), identifiers)
        tracked_study.evaluate(results)
        files.append(by_name(results)["evaluate/theirs"].options["file"])
    assert files == ["~/theirs.csv", "/home/anna_k/theirs.csv"]


def test_a_run_that_is_written_again_with_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    results = tracked_study.start(tmp_path)
    tracked_study.evaluate(results)
    first = {name: run.digest for name, run in by_name(results).items()}
    assert len(set(first.values())) == 4
    tracked_study.evaluate(results, auroc=0.81)
    changed = {name for name, run in by_name(results).items() if run.digest != first[name]}
    assert changed == {"evaluate/cnn", "evaluate/theirs"}
    tracked_study.evaluate(results)
    assert {name: run.digest for name, run in by_name(results).items()} == first


def test_results_that_are_no_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config/study\.yaml: no such file"):
        tracked_runs(tmp_path)
