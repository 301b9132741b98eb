"""The tables of trainings: tuning trials, seeds, fusions, and what the jobs of the study cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.files import read_csv
from melanoma.config.facts import training_name
from melanoma.config.study import Study
from melanoma.report.tables import Cell, Column, Table

NO_WEIGHT = 1e-9  # a fitted weight of zero differs from it by rounding
MEANS = ("mean", "rank_mean", "logit_mean", "weighted")


def trials(model: str, path: Path) -> Table:
    """Return the trials of a tuning, the best first."""
    table = read_csv(path, dtype={"trial": str}).drop(columns="chosen")
    columns = [
        Column(name, name.removeprefix("validation_").replace("_", " "), "short" if kind.kind in "if" else "text")
        for name, kind in table.dtypes.items()
    ]
    rows = [[None if pd.isna(cell) else cell for cell in row] for row in table.itertuples(index=False)]
    caption = f"{model}: {len(rows)} tuning trials, the best first."
    return Table(f"trials-{model}", caption, columns, rows, searched=len(rows) > 8)


def seeds(entries: Mapping[str, Any]) -> Table | None:
    """Return the AUROC of each seed of the models with several."""
    rows: list[list[Cell]] = []
    for name, entry in entries.items():
        row: list[Cell] = [name, ", ".join(entry["seeds"])]
        for part in ("test", "out_of_fold"):
            areas = entry[part]["auroc"]
            row += [", ".join("none" if area is None else f"{area:.3f}" for area in areas), entry[part]["sd"]]
        rows.append(row)
    columns = [
        Column("model", "Model"),
        Column("seeds", "Seeds"),
        Column("test_auroc", "Test AUROC of each seed"),
        Column("test_sd", "SD", "number", 3),
        Column("out_of_fold_auroc", "Out-of-fold AUROC of each seed"),
        Column("out_of_fold_sd", "SD", "number", 3),
    ]
    return Table("seeds", "AUROC of each seed.", columns, rows) if rows else None


def fusions(entries: Mapping[str, Any]) -> Table | None:
    """Return the method and the weights of each fusion."""
    rows: list[list[Cell]] = []
    for name, fusion in entries.items():
        fitted = ", fitted out of fold" if fusion.get("fitted") else ""
        context = ", with patient context" if fusion.get("context") else ""
        weights = ", ".join(f"{member} {weight:.3f}" for member, weight in fusion["weights"].items())
        shifts = (fusion.get("model") or {}).get("prior_shifts") or {}
        shifted = ", ".join(f"{member} {shift:+.3f}" for member, shift in shifts.items())
        rows.append([name, fusion["method"].replace("_", " ") + fitted + context, weights, shifted])
    columns = [
        Column("fusion", "Fusion"),
        Column("method", "Method"),
        Column("weights", "Weights (means) or coefficients per standard deviation (logistic)"),
        Column("prior_shifts", "Prior correction of the log-odds"),
    ]
    return Table("fusions", "Methods and weights of the fusions.", columns, rows) if rows else None


def copies(entries: Mapping[str, Any]) -> dict[str, str]:
    """Return the member to which a fusion gives all weight, by the fusion's name."""
    found = {}
    for name, fusion in entries.items():
        used = [member for member, weight in fusion["weights"].items() if abs(weight) > NO_WEIGHT]
        if fusion["method"] in MEANS and len(used) == 1:
            found[name] = used[0]
    return found


def gpus(study: Study) -> dict[str, int]:
    """Return the GPUs that jobs ask for, by the name of their model, training or tuning."""
    asked: dict[str, int] = {}
    for model, recipe in study.models.items():
        if recipe.is_trained:
            untuned = training_name(recipe.model_copy(update={"tune": None}))
            asked |= dict.fromkeys((model, training_name(recipe), untuned), recipe.resources.gpus)
    return asked


def costs(logs: Path, asked: Mapping[str, int]) -> Table | None:
    """Return the cost of each kind of job from the benchmark files below `logs`; None if there are none.

    A file is RULE.tsv, or in a folder of the rule's subject. `asked` has the GPUs of a model or training by its name. A
    file of a job that is not finished is left out.
    """
    rows = []
    for path in sorted(logs.rglob("*.tsv")) if logs.is_dir() else []:
        parts = path.relative_to(logs).with_suffix("").parts
        table = pd.read_csv(path, sep="\t", na_values="-")
        if {"s", "max_rss", "cpu_time"} <= set(table) and parts[0] != "write_report":
            count = asked.get(parts[1], 0) if len(parts) > 1 and parts[0] in ("train", "tune", "predict") else 0
            seconds = float(table["s"].sum())
            rows.append(
                [
                    parts[0],
                    seconds / 3600,
                    table["cpu_time"].sum() / 3600,
                    count * seconds / 3600,
                    table["max_rss"].max(),
                ]
            )
    if not rows:
        return None
    jobs = pd.DataFrame(rows, columns=["job", "hours", "cpu_hours", "gpu_hours", "memory"])
    found = jobs.groupby("job").agg(
        count=("hours", "size"),
        hours=("hours", "sum"),
        cpu_hours=("cpu_hours", "sum"),
        gpu_hours=("gpu_hours", "sum"),
        memory=("memory", "max"),
    )
    found = found.sort_values("hours", ascending=False)
    total = ["all", len(jobs), *found[["hours", "cpu_hours", "gpu_hours"]].sum(), found["memory"].max()]
    columns = [
        Column("job", "Kind of job"),
        Column("jobs", "Jobs", "count"),
        Column("hours", "Hours", "number", 3),
        Column("cpu_hours", "CPU hours", "number", 3),
        Column("gpu_hours", "GPU hours asked for", "number", 3),
        Column("memory", "Most memory, MB", "count"),
    ]
    lines = [
        [str(name).replace("_", " "), *row]
        for name, row in zip(found.index, found.itertuples(index=False), strict=True)
    ]
    return Table(
        "costs",
        "Time and memory of the latest run of each job, from Snakemake's benchmark files.",
        columns,
        [total, *lines],
    )
