"""Checks the data of a study as the rules will: sources, split, and the inputs of metadata models."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.config.data import Data, Source
from melanoma.config.recipe import Recipe
from melanoma.config.split import Split
from melanoma.config.study import Study
from melanoma.data.catalog import build_catalog
from melanoma.snakefile.sources import downloads
from melanoma.split.assign import read_pairs, split_images
from melanoma.split.external import study_images


@dataclass(frozen=True)
class Findings:
    """What the check of a study has read.

    `catalog`: the usable images, as `build_catalog` returns them, None if there are none. `issues`: rows of issues.csv.
    `faults`: what stops the run. `warnings`: what does not. `pending`: what the workflow downloads or draws first, so
    that it cannot be checked yet. `test`: the rows of the catalog that would be test, None if they are unknown.
    """

    catalog: pd.DataFrame | None
    issues: pd.DataFrame
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    test: pd.DataFrame | None = None


def check_study(study: Study) -> Findings:
    """Check the data of a study. A fault of one source hides none of the others."""
    present, pending = _present(study)
    if not present:
        return Findings(None, pd.DataFrame(), pending=pending)
    if all(source.role == "extra_train" for source in present) and pending:
        present = [source.model_copy(update={"role": "study"}) for source in present]
    data = study.data.model_copy(update={"sources": tuple(present)})
    faults: list[str] = []
    try:
        catalog, issues = build_catalog(data)
    except InputError as error:
        faults.append(str(error))
        catalog, issues = usable_part(data)
    warnings: list[str] = []
    test = None
    if catalog is not None:
        for model, recipe in study.models.items():
            lacking, all_lacking = missing_inputs(recipe, catalog)
            where = f"models.{model}: no image has {', '.join(lacking)}"
            if all_lacking:
                faults.append(f"{where}, and the model reads nothing else. Name the columns, or remove the model")
            elif lacking:
                warnings.append(f"{where}. Name the columns of the table, see `columns` in docs/data.md")
        if not pending:
            try:
                test = expected_test_set(catalog, study.split)
            except InputError as error:
                faults.append(f"split: {error}")
    return Findings(catalog, issues, faults, warnings, pending, test)


def usable_part(data: Data) -> tuple[pd.DataFrame | None, pd.DataFrame]:
    """Return catalog and issues of the rows and sources that can be used; None if there are none."""
    dropping = data.model_copy(update={"on_bad_row": "drop"})
    try:
        catalog, issues = build_catalog(dropping)
        return catalog, issues
    except InputError:
        alone = [source.model_copy(update={"role": "study"}) for source in data.sources]
    parts = []
    for source, role in zip(alone, [source.role for source in data.sources], strict=True):
        try:
            catalog, issues = build_catalog(dropping.model_copy(update={"sources": (source,)}))
        except InputError:
            continue
        parts.append((catalog.assign(role=role), issues))
    if not parts:
        return None, pd.DataFrame()
    catalogs, all_issues = zip(*parts, strict=True)
    return pd.concat(catalogs, ignore_index=True), pd.concat(all_issues, ignore_index=True)


def expected_test_set(catalog: pd.DataFrame, settings: Split) -> pd.DataFrame | None:
    """Return the images that `settings` would put into the test set; None if a table of the split is not here yet.

    Near-duplicates and the sizes of images are unknown before the images are read. So the final test set may differ.
    Raises InputError if the split is not possible.
    """
    tables = [settings.duplicates, settings.predefined and settings.predefined.table]
    if not all(Path(table).exists() for table in tables if table):
        return None
    strata = [name for name in settings.stratify if name != "size"] or ["target"]
    known = settings.model_copy(update={"stratify": tuple(strata)})
    images = split_images(study_images(catalog), read_pairs(settings.duplicates), known).images
    return images[images["part"] == "test"]


def missing_inputs(recipe: Recipe, catalog: pd.DataFrame) -> tuple[list[str], bool]:
    """Return the columns that a model reads and that no image has, and whether the model reads nothing else."""
    inputs = recipe.metadata_inputs
    lacking = [name for name in inputs if name in ("age", "sex", "site") and catalog[name].isna().all()]
    return lacking, 0 < len(lacking) == len(inputs) and not recipe.reads_images


def _present(study: Study) -> tuple[list[Source], list[str]]:
    """Return the sources whose tables are here, and what is not here yet. A later folder of images is left out."""
    later = downloads(study)
    present, pending = [], []
    for source in study.data.sources:
        folders = [source.images] if isinstance(source.images, str) else list(source.images or [])
        if source.generate:
            pending.append(f"source {source.name}: the workflow draws {source.generate.images:,} images")
            continue
        tables = [table for table in (source.table, source.metadata) if table in later]
        pending += [f"source {source.name}: {path} will be downloaded" for path in [*tables, *folders] if path in later]
        if tables:
            continue
        without = any(folder in later for folder in folders)
        present.append(source.model_copy(update={"images": None}) if without else source)
    return present, pending
