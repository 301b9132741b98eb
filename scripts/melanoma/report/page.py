"""The report of a study: one HTML page that contains all that it shows."""

import base64
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from melanoma.common.errors import InputError
from melanoma.common.files import read_csv, read_intact, read_json, read_parquet, read_yaml
from melanoma.common.provenance import ROOT, commit
from melanoma.config.checks import WITHOUT_CONTEXT
from melanoma.config.facts import start_of
from melanoma.config.recipe import read_recipe
from melanoma.config.study import Study, resolve
from melanoma.data.units import weakest
from melanoma.evaluation.results import ModelMetrics
from melanoma.evaluation.summary import apart, interval_note
from melanoma.predictions.test_access_log import EXTERNAL, Count, accesses, read_access_log
from melanoma.report.licenses import licenses
from melanoma.split.leakage import Finding

MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}
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
SHOWN_ROWS = 200  # rows of a table of issues; the file has all of them
SHOWN_SIZES = 5


@dataclass(frozen=True)
class Sources:
    """The files of a report. A section whose file is None or whose files are empty is left out.

    `study` has the parts of the resolved configuration. `figures`, `recipes`, `trials` and `fusions` are by name.
    """

    metrics: Path
    study: Sequence[Path]
    comparisons: Path | None = None
    calibration: Path | None = None
    selected_model: Path | None = None
    shortcuts: Path | None = None
    figures: Mapping[str, Path] = field(default_factory=dict)
    leakage: Path | None = None
    issues: Path | None = None
    quality: Path | None = None
    recipes: Mapping[str, Path] = field(default_factory=dict)
    trials: Mapping[str, Path] = field(default_factory=dict)
    seeds: Path | None = None
    test_access_log: Path | None = None
    fusions: Mapping[str, Path] = field(default_factory=dict)
    truths: Sequence[Path] = ()
    catalog: Path | None = None


class Figure(TypedDict):
    """A figure of the page. `uri` holds the image itself."""

    name: str
    uri: str
    caption: str


class RecipeEntry(TypedDict):
    """A model of the page. `weights` says what the network starts from; it is empty if nothing is trained by epochs."""

    name: str
    network: str
    weights: str
    path: Path
    text: str


class Leakage(TypedDict):
    """The result of the leakage check: leaks, doubts, the counts of each part as a table, and other counts by name."""

    findings: list[Finding]
    unit: str
    notices: list[str]
    foreign: list[str]  # sources of the test that have no training image
    header: list[str]
    rows: list[tuple[str, list[object]]]
    others: dict[str, int]


class Issues(TypedDict):
    """The issues of the tables: their number, the number of each kind, and the first rows."""

    total: int
    counts: list[dict[str, object]]
    rows: list[dict[str, object]]


class Quality(TypedDict):
    """The quality of the image files: counts, the most common sizes with their counts, and the first bad files."""

    total: int
    unreadable: int
    sizes: list[tuple[str, int]]
    n_sizes: int
    bad: int
    problems: list[dict[str, object]]


class Trials(TypedDict):
    """The trials of a tuning as a table, the best trial first."""

    header: list[str]
    rows: list[list[str]]


class AccessCounts(Count):
    """The accesses to a test set, the time of the first one, and whether they are more than the study allows."""

    first: str | None
    many: bool


def render(sources: Sources) -> str:
    """Return the report as HTML with all images inside. The same sources give the same text."""
    metrics: dict[str, ModelMetrics] = read_json(sources.metrics)
    study = read_study(sources.study)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        study=study,
        metrics=metrics,
        note=interval_note(metrics),
        unit=weakest(metrics),
        without_patients=[name for name, entry in metrics.items() if entry["unit"] != "patient"],
        apart=apart(metrics),
        one_test=len({(entry["n"], entry["melanomas"], entry["units"]) for entry in metrics.values()}) == 1,
        axis=axis(metrics),
        thresholded={name: entry["thresholds"] for name, entry in metrics.items() if "thresholds" in entry},
        comparisons=_json(sources.comparisons) or {"pairs": []},
        calibration=_json(sources.calibration) or {},
        selected_model=_json(sources.selected_model),
        contexts=contexts(metrics),
        shortcuts=_json(sources.shortcuts),
        figures=[figure(name, path) for name, path in sources.figures.items()],
        truth=best_possible(sources.truths),
        leakage=leakage(sources.leakage) if sources.leakage else None,
        issues=issues(sources.issues) if sources.issues else None,
        quality=quality(sources.quality) if sources.quality else None,
        licenses=licenses(sources.catalog) if sources.catalog else [],
        recipes=[recipe_entry(name, path) for name, path in sources.recipes.items()],
        trials={name: trials(path) for name, path in sources.trials.items()},
        seeds=_json(sources.seeds) or {},
        test_access_log=access_counts(sources.test_access_log, study.evaluate.max_test_configurations),
        fusions={name: read_json(path) for name, path in sources.fusions.items()},
        config=yaml.safe_dump(study.dump(), sort_keys=False, allow_unicode=True),
        command=f"snakemake --cores all --configfile {' '.join(map(str, sources.study))}",
        versions=versions(),
        commit=commit(),
        shown_rows=SHOWN_ROWS,
        few=FEW,
    )


def read_study(paths: Sequence[Path]) -> Study:
    """Return the study whose configuration is divided among YAML files. A section may be in several of them."""
    joined: dict[str, Any] = {}
    for part in map(read_yaml, paths):
        for section, value in part.items():
            known = joined.get(section)
            joined[section] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return resolve(joined)


def contexts(metrics: Mapping[str, ModelMetrics]) -> dict[str, str]:
    """Return the fusions with patient context, each with the name of the same fusion without context."""
    pairs = {name.removesuffix(WITHOUT_CONTEXT): name for name in metrics if name.endswith(WITHOUT_CONTEXT)}
    return {name: without for name, without in pairs.items() if name in metrics}


def figure(name: str, path: Path) -> Figure:
    """Return a figure with its caption, report/NAME.rst. Figures NAME:MODEL share a caption.

    Raises InputError if the file is neither SVG nor PNG, or is damaged.
    """
    if path.suffix not in MEDIA:
        raise InputError(f"{path}: a figure of the report must be one of {', '.join(MEDIA)}")
    caption = ROOT / "report" / f"{name.partition(':')[0]}.rst"
    return {
        "name": name,
        "uri": f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(read_intact(path)).decode()}",
        "caption": caption.read_text().strip() if caption.exists() else name.replace("_", " "),
    }


def axis(metrics: Mapping[str, ModelMetrics]) -> tuple[float, float]:
    """Return the axis of the AUROC bars. It starts at 0.5 or at the lowest value or bound, rounded down to a tenth."""
    bounds = [bound for entry in metrics.values() for bound in (entry["auroc"]["low"], entry["auroc"]["value"])]
    lowest = min(0.5, *(bound for bound in bounds if bound is not None))
    return int(lowest * 10) / 10, 1.0


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


def leakage(path: Path) -> Leakage:
    """Return the result of the leakage check as tables."""
    result = read_json(path)
    parts = {name: counts for name, counts in result["checked"].items() if isinstance(counts, dict)}
    columns = list(dict.fromkeys(column for counts in parts.values() for column in counts))
    return {
        "findings": result["findings"],
        "unit": result["unit"],
        "notices": result["notices"],
        "foreign": sorted(set(result["sources"]["test"]) - set(result["sources"]["train"])),
        "header": columns,
        "rows": [(name, [counts.get(column, "") for column in columns]) for name, counts in parts.items()],
        "others": {name: count for name, count in result["checked"].items() if name not in parts},
    }


def issues(path: Path) -> Issues:
    """Count the issues of the tables by kind, and return the first of them."""
    table = read_csv(path, dtype=str, keep_default_na=False)
    counts = table.groupby(["source", "column", "problem", "action"], as_index=False).size()
    return {"total": len(table), "counts": _records(counts), "rows": _records(table.head(SHOWN_ROWS))}


def quality(path: Path) -> Quality:
    """Count the image files and their most common sizes, and return the files with a problem."""
    table = read_parquet(path)
    readable = table["readable"].astype(bool)
    bad = table[~readable | table["problem"].notna()]
    sizes = table[readable].groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    return {
        "total": len(table),
        "unreadable": int((~readable).sum()),
        "sizes": [(f"{width} x {height}", int(count)) for (width, height), count in sizes.head(SHOWN_SIZES).items()],
        "n_sizes": len(sizes),
        "bad": len(bad),
        "problems": _records(bad[["image", "file", "readable", "problem"]].head(SHOWN_ROWS)),
    }


def trials(path: Path) -> Trials:
    """Return the trials of a tuning with shortened numbers."""
    table = read_csv(path, dtype={"trial": str}).drop(columns="chosen")
    header = [column.removeprefix("validation_") for column in table.columns]
    return {"header": header, "rows": [list(map(_short, row)) for row in table.itertuples(index=False)]}


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


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows by column, with an empty text for a missing value."""
    records: list[dict[str, object]] = table.astype(object).where(table.notna(), "").to_dict("records")
    return records
