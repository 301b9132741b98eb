"""What the page shows and draws, from the files of a study."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import yaml

from melanoma.common.errors import InputError
from melanoma.common.files import read_intact, read_json, read_parquet
from melanoma.common.provenance import ROOT, commit
from melanoma.config.facts import start_of
from melanoma.config.recipe import read_recipe
from melanoma.config.study import Study
from melanoma.data.units import weakest
from melanoma.evaluation.results import AtThreshold, ModelMetrics
from melanoma.evaluation.summary import apart, interval_note
from melanoma.predictions.test_access_log import EXTERNAL, Count, accesses, read_access_log
from melanoma.report import charts, cohort_tables, data_tables, result_tables, training_tables
from melanoma.report.explanations import Explanations, explanations
from melanoma.report.gallery import Gallery, read_png, webp
from melanoma.report.sources import Frames, Sources
from melanoma.report.tables import FEWEST, Table, plain

if TYPE_CHECKING:  # the statistics load scipy.sparse, which the report need not
    from melanoma.stats.bootstrap import Interval

PACKAGES = [
    "snakemake",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "opencv-python-headless",
    "h5py",
    "matplotlib",
]
FEW = 20  # melanomas or patients: with fewer, the report warns that the test set is too small
OPTIONAL_TABLES = (
    *("shortcuts", "shortcuts_out_of_fold", "subgroups", "subgroups_out_of_fold"),
    *("table_1", "missing_values", "recalibration", "units", "selective", "at_prevalence", "external"),
)
SHEET_SIDE = 1100  # pixels of the longer side of a sheet of images
CURVES = (
    ("roc", "ROC curves", "The band is the {level} confidence interval at each false positive rate, {drawn}."),
    ("precision_recall", "Precision-recall curves", "The dashed line is chance: the share of melanomas."),
    ("reliability", "Calibration", "Solid: after calibration. Dotted: before. The diagonal is perfect calibration."),
    ("decision", "Decision curves", "Net benefit by threshold probability. Dashed: treat all and treat none."),
)


class Figure(TypedDict):
    """A figure of the page. `uri` holds the image itself."""

    uri: str
    caption: str


class RecipeEntry(TypedDict):
    """A model of the page. `weights` says what the network starts from; it is empty if nothing is trained by epochs."""

    name: str
    network: str
    weights: str
    path: Path
    text: str


class OutOfFold(TypedDict):
    """The out-of-fold AUROC of a model, its test AUROC minus that, and whether the test is below the interval."""

    auroc: Interval
    difference: float
    below: bool


class AccessCounts(Count):
    """The accesses to a test set, the time of the first one, and whether they are more than the study allows."""

    first: str | None
    many: bool


class Data(TypedDict):
    """What the script of the page reads."""

    models: list[dict[str, Any]]  # see `charts.ModelCurves`
    selected: str | None
    shown: list[str]  # the models whose curves are shown first
    digits: int
    rules: dict[str, str]  # names of the rules of thresholds
    rule: str | None  # the rule of the threshold that is shown first
    learning: dict[str, Any]  # see `charts.learning`
    patients: list[dict[str, Any]]
    thumbnails: list[str]


def draw(
    sources: Sources,
    metrics: Mapping[str, ModelMetrics],
    calibration: Mapping[str, Any],
    kinds: Mapping[str, str],
    shown: str,
) -> list[dict[str, Any]]:
    """Return what the page draws of the models; nothing without the predictions of the test set."""
    if sources.test_predictions is None or sources.curves is None:
        return []
    predictions, curves = read_parquet(sources.test_predictions), read_json(sources.curves)
    return charts.drawn(predictions, metrics, curves, calibration, kinds, shown)


def permitted(sources: Sources, study: Study, frames: Frames | None) -> dict[str, Path]:
    """Return the figures that the page may show: photographs, which are PNG, if all images of the study may be shown.

    The sheet of near-duplicates also names its images.
    """
    photographs = frames is not None and bool(frames.train["shown"].all() and frames.test["shown"].all())
    named = {"near_duplicates"} if not study.report.identifiers else set()
    figures = sources.figures.items()
    return {name: path for name, path in figures if path.suffix != ".png" or (photographs and name not in named)}


def figure(name: str, path: Path) -> Figure:
    """Return a figure with its caption, report/NAME.rst. Figures NAME:MODEL share a caption. A PNG becomes WebP.

    Raises InputError if the file is neither SVG nor PNG.
    """
    if path.suffix not in (".svg", ".png"):
        raise InputError(f"{path}: a figure of the report must be one of .svg, .png")
    caption = ROOT / "report" / f"{name.partition(':')[0]}.rst"
    if path.suffix == ".svg":
        uri = f"data:image/svg+xml;base64,{base64.b64encode(read_intact(path)).decode()}"
    else:
        uri = f"data:image/webp;base64,{webp(read_png(path), SHEET_SIDE)}"
    return {"uri": uri, "caption": caption.read_text().strip() if caption.exists() else name.replace("_", " ")}


def explain(
    sources: Sources, frames: Frames | None, pictures: Gallery | None, identifiers: bool
) -> Explanations | None:
    """Return the explanations, and add their pictures to the others; None without a file, images or maps."""
    if sources.explanations is None or frames is None or pictures is None:
        return None
    found = explanations(sources.explanations, frames.test, pictures["thumbnails"], identifiers)
    return found if found["cases"] or found["importance"] else None


def out_of_fold(entry: ModelMetrics) -> OutOfFold | None:
    """Return how the test AUROC of a model differs from its out-of-fold AUROC; None if it has none."""
    if "validation" not in entry:
        return None
    auroc, test = entry["validation"]["auroc"], entry["auroc"]["value"]
    below = auroc["low"] is not None and test < auroc["low"]
    return {"auroc": auroc, "difference": test - auroc["value"], "below": below}


def chosen_rule(thresholds: Mapping[str, AtThreshold]) -> str | None:
    """Return the rule of the threshold at which errors are counted, as `Decisions.rule` does; None without any."""
    rules = [rule for rule in thresholds if rule == "given" or rule.startswith("sensitivity_")]
    return rules[-1] if rules else None


def threshold_name(rule: str) -> str:
    """Return the threshold of a rule of `chosen_rule` in words."""
    target = rule.partition("_")[2]
    return f"threshold for {target}\xa0% sensitivity" if target else "given threshold"


def best_possible(paths: Sequence[Path]) -> dict[str, float]:
    """Return the AUROC of the best possible model on generated images by what it reads: joint, image or metadata.

    Empty unless there is exactly one source of generated images: the values of several sources cannot be combined.
    """
    truth: dict[str, float] = read_json(paths[0])["bayes_auroc"]["cohort"] if len(paths) == 1 else {}
    return truth


def recipe_entry(name: str, path: Path) -> RecipeEntry:
    """Return a model's entry: its network, what weights it starts from, and the text of its recipe."""
    recipe = read_recipe(path)
    return {
        "name": name,
        "network": recipe.network,
        "weights": start_of(recipe),
        "path": path,
        "text": path.read_text(),
    }


def access_counts(path: Path | None, max_configurations: int) -> AccessCounts | None:
    """Count the accesses to the latest internal test in the access log. None without a log or without an entry."""
    entries = read_access_log(path) if path is not None else []
    entries = [entry for entry in entries if entry.get("reader") != EXTERNAL]
    if not entries:
        return None
    count = accesses(entries, entries[-1].get("test"))
    many = count["configurations"] > max_configurations
    return {**count, "first": entries[0].get("time"), "many": many}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results, without an import of them."""
    installed = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed"
    return installed


def _json(path: Path | None) -> Any:
    return None if path is None else read_json(path)


def contents(sources: Sources, study: Study) -> tuple[dict[str, Any], Data]:
    """Return what the templates show, and what the script of the page draws."""
    metrics: dict[str, ModelMetrics] = read_json(sources.metrics)
    selected_model = _json(sources.selected_model)
    selected = selected_model["selected_model"] if selected_model else None
    shown = selected if selected in metrics else next(iter(metrics))
    shortcuts, calibration = _json(sources.shortcuts), _json(sources.calibration) or {}
    thresholds = metrics[shown].get("thresholds", {})
    rule = chosen_rule(thresholds)
    fusions = {name: read_json(path) for name, path in sources.fusions.items()}
    comparisons: Any = _json(sources.comparisons) or {"pairs": []}
    leakage = data_tables.leakage(sources.leakage) if sources.leakage else None
    kinds = {name: result_tables.kind_of(name, study) for name in metrics}
    level = metrics[shown]["bootstrap"]["confidence_level"]
    digits = result_tables.least_decimals(metrics)
    drawn = draw(sources, metrics, calibration, kinds, shown)
    frames = Frames.read(sources, study)
    pictures = frames.gallery(sources, study, shown) if frames else None
    explained = explain(sources, frames, pictures, study.report.identifiers)
    without_pixels = [name for name, kind in kinds.items() if kind == "metadata"]
    beside = sorted(without_pixels, key=lambda name: metrics[name]["auroc"]["value"])[-1:]
    learning = charts.learning(sources.histories)
    data: Data = {
        "models": drawn,
        "selected": selected,
        "shown": [shown, *beside],
        "digits": digits,
        "rules": {each: result_tables.rule_name(each) for entry in drawn for each in entry["rules"]},
        "rule": rule,
        "learning": learning,
        "patients": pictures["patients"] if pictures else [],
        "thumbnails": pictures["thumbnails"] if pictures else [],
    }
    log = access_counts(sources.test_access_log, study.evaluate.max_test_configurations)
    issues = data_tables.read_issues(sources.issues) if sources.issues else None
    drawn_by = f"from a bootstrap over {metrics[shown]['bootstrap']['clusters']}s"
    tables: dict[str, Table | None] = {
        **dict.fromkeys(OPTIONAL_TABLES),
        "models": result_tables.models(metrics, study, selected),
        "comparisons": result_tables.comparisons(comparisons, selected) if comparisons["pairs"] else None,
        "thresholds": result_tables.thresholds(metrics, selected),
        "calibration": result_tables.calibration(metrics, calibration, selected),
        "selection": result_tables.selection(selected_model, digits + 1) if selected_model else None,
        "patient_context": result_tables.contexts(metrics),
        **(result_tables.shortcut_tables(shortcuts, shown, selected) if shortcuts else {}),
        **(frames.tables() if frames else {}),
        **cohort_tables.cohort_tables(metrics, _json(sources.external), shown, selected),
        "robustness": cohort_tables.robustness(_json(sources.robustness) or {}, selected, digits),
        "importance": explained["importance"] if explained else None,
        "parts": leakage["parts"] if leakage else None,
        "leaks": data_tables.leaks(leakage["findings"], study.report.identifiers) if leakage else None,
        "licenses": data_tables.license_table(sources.catalog) if sources.catalog else None,
        "seeds": training_tables.seeds(_json(sources.seeds) or {}),
        "fusions": training_tables.fusions(fusions),
        "costs": training_tables.costs(sources.logs, training_tables.gpus(study)) if sources.logs else None,
        "versions": plain("versions", "Versions of the packages.", ["Package", "Version"], versions().items()),
    }
    content = {
        "study": study,
        "metrics": metrics,
        "tables": tables,
        "kinds": kinds,
        "shown": shown,
        "found": metrics[shown]["sensitivity_at_90_specificity"],
        "out_of_fold": out_of_fold(metrics[shown]),
        "threshold_name": threshold_name(rule) if rule else None,
        "threshold_target": rule.partition("_")[2] if rule else "",
        "at_threshold": thresholds[rule] if rule else None,
        "copies": training_tables.copies(fusions),
        "selected": selected,
        "level": level,
        "digits": digits,
        "note": interval_note(metrics),
        "unit": weakest(metrics),
        "without_patients": [name for name, entry in metrics.items() if entry["unit"] != "patient"],
        "apart": apart(metrics),
        "one_test": len({(entry["n"], entry["melanomas"], entry["units"]) for entry in metrics.values()}) == 1,
        "comparisons": comparisons,
        "selected_model": selected_model,
        "shortcuts": shortcuts,
        "baseline": result_tables.baseline(shortcuts, shown),
        "figures": {name: figure(name, path) for name, path in permitted(sources, study, frames).items()},
        "truth": best_possible(sources.truths),
        "leakage": leakage,
        "leaky": bool(leakage and leakage["findings"]) or study.split.method == "sequential",
        "flow": frames.flow(issues) if frames and issues is not None else None,
        "issues": None if issues is None else data_tables.issue_tables(issues, study.report.identifiers),
        "quality": data_tables.quality(sources.quality, study.report.identifiers) if sources.quality else None,
        "recipes": [recipe_entry(name, path) for name, path in sources.recipes.items()],
        "trials": [training_tables.trials(name, path) for name, path in sources.trials.items()],
        "learning": bool(learning),
        "test_access_log": log,
        "models_drawn": bool(drawn),
        "curve_texts": [
            (name, title, text.format(level=f"{level:.0%}", drawn=drawn_by)) for name, title, text in CURVES
        ],
        "gallery": pictures,
        "explained": explained,
        "hidden_images": pictures is not None and not pictures["thumbnails"],
        "config": yaml.safe_dump(study.dump(), sort_keys=False, allow_unicode=True),
        "command": f"snakemake --cores all --configfile {' '.join(map(str, sources.study))}",
        "commit": commit(),
        "few": FEW,
        "fewest": FEWEST,
    }
    return content, data
