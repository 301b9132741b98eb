"""The study's report: one HTML page that needs nothing but itself."""

import base64
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_yaml
from melanoma.common.provenance import ROOT, commit
from melanoma.config.checks import WITHOUT_CONTEXT
from melanoma.config.facts import start_of
from melanoma.config.recipe import read_recipe
from melanoma.evaluation.summary import interval_note
from melanoma.predictions.test_access_log import accesses, read_access_log

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
FEW = 20  # melanomas or patients, below which a test says little
SHOWN_ROWS = 200  # of a table of issues; the file holds all


@dataclass(frozen=True)
class Sources:
    """The files that a report is made of; those that are None or empty leave their section out."""

    metrics: Path
    config: list[Path]
    comparisons: Path | None = None
    calibration: Path | None = None
    selected_model: Path | None = None
    shortcuts: Path | None = None
    figures: dict[str, Path] = field(default_factory=dict)
    leakage: Path | None = None
    issues: Path | None = None
    quality: Path | None = None
    recipes: dict[str, Path] = field(default_factory=dict)
    trials: dict[str, Path] = field(default_factory=dict)
    seeds: Path | None = None
    test_access_log: Path | None = None
    fusions: dict[str, Path] = field(default_factory=dict)
    truths: list[Path] = field(default_factory=list)
    captions: Path = ROOT / "report"
    command: str | None = None


def render(study: str, sources: Sources) -> str:
    """Return the report as HTML with every image inside; the same sources give the same text."""
    metrics = read_json(sources.metrics)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    config = configuration(sources.config)
    return environment.get_template("report.html.j2").render(
        study=study,
        metrics=metrics,
        note=interval_note(metrics),
        unclustered=[name for name, entry in metrics.items() if entry["bootstrap"]["clusters"] == "image"],
        one_test=len({(entry["n"], entry["melanomas"], entry["patients"]) for entry in metrics.values()}) == 1,
        axis=axis(metrics),
        thresholded={name: entry["thresholds"] for name, entry in metrics.items() if "thresholds" in entry},
        comparisons=read_json(sources.comparisons) if sources.comparisons else {"pairs": []},
        calibration=read_json(sources.calibration) if sources.calibration else {},
        selected_model=read_json(sources.selected_model) if sources.selected_model else None,
        contexts=contexts(metrics),
        shortcuts=read_json(sources.shortcuts) if sources.shortcuts else None,
        figures=[figure(name, path, sources.captions) for name, path in sources.figures.items()],
        truth=best_possible(sources.truths),
        split=config.get("split") or {},
        leakage=leakage(sources.leakage),
        issues=issues(sources.issues),
        quality=quality(sources.quality),
        recipes=[(name, start_of(read_recipe(path)), path, path.read_text()) for name, path in sources.recipes.items()],
        trials={name: trials(path) for name, path in sources.trials.items()},
        seeds=read_json(sources.seeds) if sources.seeds else {},
        test_access_log=test_access_log(sources.test_access_log, config),
        fusions={name: read_json(path) for name, path in sources.fusions.items()},
        config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        command=sources.command or f"snakemake --cores all --configfile {' '.join(map(str, sources.config))}",
        versions=versions(),
        commit=commit(),
        shown_rows=SHOWN_ROWS,
        few=FEW,
    )


def configuration(paths: list[Path]) -> dict[str, Any]:
    """Return the configuration that files hold together, as Snakemake joins several: a section may be in several."""
    joined: dict[str, Any] = {}
    for part in map(read_yaml, paths):
        for section, value in part.items():
            known = joined.get(section)
            joined[section] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return joined


def contexts(metrics: dict[str, Any]) -> dict[str, str]:
    """Return the fusions that were made with and without patient context, with the name of the one without."""
    pairs = {name.removesuffix(WITHOUT_CONTEXT): name for name in metrics if name.endswith(WITHOUT_CONTEXT)}
    return {name: without for name, without in pairs.items() if name in metrics}


def figure(name: str, path: Path, captions: Path) -> dict[str, str]:
    """Return name, title, data URI and caption of a figure; a `name` of several, such as augmentation:cnn, has the
    caption of its kind, augmentation.rst in `captions`.
    """
    if path.suffix not in MEDIA:
        raise InputError(f"{path}: a figure must be one of {', '.join(MEDIA)}")
    caption = captions / f"{name.partition(':')[0]}.rst"
    return {
        "name": name,
        "title": name.replace("_", " "),
        "uri": f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}",
        "caption": caption.read_text().strip() if caption.exists() else "",
    }


def axis(metrics: dict[str, Any]) -> tuple[float, float]:
    """Return the axis of the bars in the table: in tenths, from 0.5 or the least AUROC bound, to 1."""
    bounds = [entry["auroc"][key] for entry in metrics.values() for key in ("low", "value")]
    lowest = min(0.5, *(bound for bound in bounds if bound is not None))
    return int(lowest * 10) / 10, 1.0


def best_possible(paths: list[Path]) -> dict[str, float]:
    """Return the AUROCs that the best possible model reaches on made-up images, by what it may look at.

    Empty without made-up images, and with several sources of them, whose truths do not add up to one number.
    """
    return read_json(paths[0])["bayes_auroc"]["cohort"] if len(paths) == 1 else {}


def leakage(path: Path | None) -> dict[str, Any] | None:
    """Return the findings of the leakage gate, and what it checked as a table: header and rows."""
    if path is None:
        return None
    found = read_json(path)
    checked = found.get("checked", {})
    parts = {name: counts for name, counts in checked.items() if isinstance(counts, dict)}
    columns = list(dict.fromkeys(column for counts in parts.values() for column in counts))
    return {
        "findings": found["findings"],
        "header": columns,
        "rows": [(name, [counts.get(column, "") for column in columns]) for name, counts in parts.items()],
        "facts": {name: value for name, value in checked.items() if not isinstance(value, dict)},
    }


def issues(path: Path | None) -> dict[str, Any] | None:
    """Return the problem rows of the tables: how many of each kind, and the first of them."""
    if path is None:
        return None
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    if table.empty:
        return {"total": 0}
    counts = table.groupby(["source", "column", "problem", "action"], as_index=False).size()
    return {"total": len(table), "counts": _records(counts), "rows": _records(table.head(SHOWN_ROWS))}


def quality(path: Path | None) -> dict[str, Any] | None:
    """Return how many image files were read, their commonest sizes, and those with a problem."""
    if path is None:
        return None
    table = pd.read_parquet(path)
    readable = table["readable"].astype(bool)
    bad = table[~readable | table["problem"].notna()]
    sizes = table[readable].groupby(["width", "height"]).size().sort_values(ascending=False, kind="stable")
    return {
        "total": len(table),
        "unreadable": int((~readable).sum()),
        "sizes": [(f"{width} x {height}", int(count)) for (width, height), count in sizes.head(5).items()],
        "kinds": len(sizes),
        "problems": _records(bad[["image", "file", "readable", "problem"]].head(SHOWN_ROWS)),
        "bad": len(bad),
    }


def trials(path: Path) -> dict[str, Any]:
    """Return the trials of a tuning as a table: header and rows, the chosen one first."""
    table = pd.read_csv(path, dtype={"trial": str})
    shown = table.drop(columns="chosen")
    header = [column.removeprefix("validation_") for column in shown.columns]
    return {"header": header, "rows": [list(map(_short, row)) for row in shown.itertuples(index=False)]}


def test_access_log(path: Path | None, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return how often this study's test was read, for how many configurations, and whether those are too many."""
    entries = read_access_log(path) if path is not None else []
    if not entries:
        return None
    most = config.get("evaluate", {}).get("max_test_configurations")
    counts = accesses(entries, entries[-1].get("test"))
    return counts | {"first": entries[0].get("time"), "many": most is not None and counts["configurations"] > most}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results, without importing them."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), "").to_dict("records")
