"""The files of a report, and the tables of its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.files import read_csv, read_parquet, read_yaml
from melanoma.config.study import Study, resolve
from melanoma.report import data_tables
from melanoma.report.gallery import Gallery, gallery, with_permission
from melanoma.report.tables import Table


@dataclass(frozen=True)
class Sources:
    """The files of a report. A section whose file is None or whose files are empty is left out.

    `study` has the parts of the resolved configuration. `figures`, `recipes`, `trials`, `fusions` are by name, and
    `histories` by MODEL:RUN. `logs` is the folder of the benchmark files.
    """

    metrics: Path
    study: Sequence[Path]
    comparisons: Path | None = None
    calibration: Path | None = None
    curves: Path | None = None
    test_predictions: Path | None = None
    selected_model: Path | None = None
    shortcuts: Path | None = None
    figures: Mapping[str, Path] = field(default_factory=dict)
    leakage: Path | None = None
    issues: Path | None = None
    quality: Path | None = None
    recipes: Mapping[str, Path] = field(default_factory=dict)
    trials: Mapping[str, Path] = field(default_factory=dict)
    histories: Mapping[str, Path] = field(default_factory=dict)
    external: Path | None = None
    seeds: Path | None = None
    robustness: Path | None = None
    test_access_log: Path | None = None
    fusions: Mapping[str, Path] = field(default_factory=dict)
    truths: Sequence[Path] = ()
    catalog: Path | None = None
    train: Path | None = None
    test: Path | None = None
    left_out: Path | None = None
    images: Path | None = None
    explanations: Path | None = None
    logs: Path | None = None


@dataclass(frozen=True)
class Frames:
    """The images of a study: the catalog, those of training and test, those without a part, and the predictions."""

    catalog: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame
    left_out: pd.DataFrame
    predictions: pd.DataFrame

    @classmethod
    def read(cls, sources: Sources, study: Study) -> "Frames | None":
        """Read the tables; None if one of them is not given. `test` gets its labels from the predictions."""
        paths = sources.catalog, sources.train, sources.test, sources.test_predictions, sources.left_out
        if any(path is None for path in paths):
            return None
        catalog, train, test, predictions = (read_parquet(path) for path in paths[:4] if path)
        generated = [source.name for source in study.data.sources if source.generate is not None]
        images = False if study.report.shareable else study.report.images
        train, test = (with_permission(table, catalog, generated, images) for table in (train, test))
        targets = predictions.set_index("image")["target"]
        left_out = read_csv(str(sources.left_out), dtype=str)
        return cls(catalog, train, test.assign(target=test["image"].map(targets)), left_out, predictions)

    def gallery(self, sources: Sources, study: Study, model: str) -> Gallery | None:
        """Return the pictures of the page; None if the study has no images."""
        from melanoma.images.store import ImageStore

        store = ImageStore(sources.images) if sources.images else None
        if model not in self.predictions:
            return None
        return gallery(self.predictions, model, self.test, self.train, store, study.report.identifiers)

    def tables(self) -> dict[str, Table]:
        """Return Table 1 and the missing values."""
        labeled = self.test if self.test["target"].notna().all() else self.test.drop(columns="target")
        return {
            "table_1": data_tables.table_one(self.train, labeled),
            "missing_values": data_tables.missing(self.train, self.test),
        }

    def flow(self, issues: pd.DataFrame) -> list[data_tables.Box]:
        """Return the flow diagram."""
        return data_tables.flow(self.catalog, issues, self.left_out, self.train, self.test)


def read_study(paths: Sequence[Path]) -> Study:
    """Return the study whose configuration is divided among YAML files. A section may be in several of them."""
    joined: dict[str, Any] = {}
    for part in map(read_yaml, paths):
        for section, value in part.items():
            known = joined.get(section)
            joined[section] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return resolve(joined)
