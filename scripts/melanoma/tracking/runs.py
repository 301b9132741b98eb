"""A study as runs of an experiment tracker: its trainings, its trials and its evaluated models."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma.common.errors import InputError
from melanoma.common.files import read_csv, read_json, read_yaml, sha256
from melanoma.config.base import Plain
from melanoma.config.facts import training_name
from melanoma.config.study import Study
from melanoma.report.privacy import redactor

# Hundreds of numbers of small groups, of thinned test sets and of the training images; the report has them.
ONLY_IN_THE_REPORT = ("subgroups", "selective", "validation", "bootstrap")


@dataclass(frozen=True)
class TrackedRun:
    """A training, a trial or an evaluated model.

    `name` is its place in the results, such as train/baseline_cnn-0da30f96/fold-0. `options` is its recipe: a text for
    each option, by its dotted path. `metrics` has the name, step and value of each metric: the step of a learning curve
    is the epoch, that of a final metric is 0. `time` is when its results were written (epoch, s).
    """

    name: str
    options: dict[str, str]
    metrics: list[tuple[str, int, float]]
    tags: dict[str, str]
    time: float

    @property
    def digest(self) -> str:
        """A hash of all but the time."""
        return sha256(json.dumps([self.name, self.options, self.metrics, self.tags], sort_keys=True).encode())


def tracked_runs(results: Path) -> list[TrackedRun]:
    """Return the runs of the study in `results`, such as results/demo, as far as it has come.

    Their options name no user, home folder or computer, unless the study has `report.identifiers: true`. Raises
    InputError if there is no study.
    """
    path = results / "config/study.yaml"
    if not path.exists():
        raise InputError(
            f"{path}: no such file; expected the results of a study that has started, such as results/demo"
        )
    study = Study.model_validate(read_yaml(path))
    hidden = redactor(study.report.identifiers)
    runs = [*_trials(results), *_trainings(results, study), *_evaluated(results, study)]
    return [replace(run, options={key: hidden(text) for key, text in run.options.items()}) for run in runs]


def _trials(results: Path) -> Iterator[TrackedRun]:
    for history in sorted(results.glob("tune/*/trial-*/history.csv")):
        yield _curves(results, history, read_yaml(history.with_name("recipe.yaml")))


def _trainings(results: Path, study: Study) -> Iterator[TrackedRun]:
    """Yield the trainings of folds and refits. Their tag names the models that share them."""
    models: dict[str, list[str]] = {}
    for model, recipe in study.models.items():
        models.setdefault(training_name(recipe), []).append(model)
    for history in sorted(results.glob("train/*/*/history.csv")):
        training, run = history.parts[-3:-1]
        tuned = results / "tune" / training / "recipe.yaml"
        options = read_yaml(tuned if tuned.exists() else results / "recipes" / f"{training}.yaml")
        _, marked, seed = run.partition("-seed-")
        if marked:
            options["seed"] = int(seed)
        yield replace(_curves(results, history, options), tags={"models": ", ".join(models.get(training, []))})


def _curves(results: Path, history: Path, recipe: Plain) -> TrackedRun:
    """Return a run with the learning curves of a history."""
    metrics = [
        (str(name), int(row["epoch"]), float(value))
        for row in read_csv(history).to_dict("records")
        for name, value in row.items()
        if name != "epoch" and math.isfinite(value)
    ]
    name = history.parent.relative_to(results).as_posix()
    return TrackedRun(name, dict(_texts(recipe)), metrics, {}, history.stat().st_mtime)


def _evaluated(results: Path, study: Study) -> Iterator[TrackedRun]:
    """Yield the models and fusions with the metrics of the test and of external tests; none before the evaluation."""
    path, tests = results / "evaluate/metrics.json", results / "evaluate/external.json"
    if not path.exists():
        return
    selected = read_json(results / "fuse/selected_model.json")["selected_model"]
    external = read_json(tests) if tests.exists() else {}
    for model, entry in read_json(path).items():
        recipe = study.models.get(model) or study.all_fusions[model]
        elsewhere = {source: _shown(entries[model]) for source, entries in external.items() if model in entries}
        numbers = _numbers(_shown(entry) | ({"external": elsewhere} if elsewhere else {}))
        tags = {"selected": "yes"} if model == selected else {}
        metrics = [(name, 0, value) for name, value in numbers]
        yield TrackedRun(f"evaluate/{model}", dict(_texts(recipe.dump())), metrics, tags, path.stat().st_mtime)


def _shown(entry: Plain) -> Plain:
    return {key: value for key, value in entry.items() if key not in ONLY_IN_THE_REPORT}


def _texts(options: Plain, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each option of a recipe by its dotted path; lists and null as JSON."""
    for key, value in options.items():
        if isinstance(value, dict) and value:
            yield from _texts(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _numbers(entry: Plain, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of an entry of metrics.json. An interval gives auroc, auroc_low and auroc_high."""
    for key, value in entry.items():
        if isinstance(value, dict):
            interval = {"value", "low", "high"} == set(value)
            yield from _numbers(_interval(key, value) if interval else value, prefix if interval else f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", value


def _interval(name: str, interval: Plain) -> Plain:
    return {name: interval["value"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}
