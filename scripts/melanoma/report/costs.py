"""What the study cost: the time, the memory and the GPU hours of its jobs, from Snakemake's benchmark files."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from melanoma.config.facts import training_name
from melanoma.config.study import Study
from melanoma.report.tables import Column, Table


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
