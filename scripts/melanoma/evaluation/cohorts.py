"""Labeled tables of predictions: their columns as arrays, their counts, and what the bootstrap draws."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.common.errors import InputError
from melanoma.config.study import Evaluate
from melanoma.data.units import count_units, unit
from melanoma.evaluation.results import BootstrapSettings, Counts
from melanoma.stats.metrics import Floats


def cohorts(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, pd.DataFrame]]:
    """Group the models by the images, patients and labels that they predict; each table is sorted by image."""
    groups: dict[tuple[int, int], dict[str, pd.DataFrame]] = {}
    for name, table in tables.items():
        rows = pd.util.hash_pandas_object(table[["image", "patient", "target"]], index=False)
        ordered = table.sort_values("image", ignore_index=True)
        groups.setdefault((len(table), int(rows.sum())), {})[name] = ordered
    return list(groups.values())


def resampling(settings: Evaluate) -> BootstrapSettings:
    """Return the settings of the bootstrap."""
    return {
        "replicates": settings.replicates,
        "confidence_level": settings.confidence_level,
        "seed": settings.seed,
    }


def count_images(predictions: pd.DataFrame) -> Counts:
    """Count images, melanomas and units."""
    return {
        "n": len(predictions),
        "melanomas": int(predictions["target"].sum()),
        "unit": unit(predictions),
        "units": count_units(predictions),
    }


def clusters_drawn(predictions: pd.DataFrame) -> tuple[str, NDArray[np.str_]]:
    """Return what the bootstrap draws, the unit, and its name for each row, (n,). An empty patient is an image."""
    column = "patient" if predictions["patient"].notna().all() else "image"
    return unit(predictions), predictions[column].to_numpy(dtype=str)


def labeled(predictions: pd.DataFrame, name: str) -> tuple[NDArray[np.int8], Floats]:
    """Return target int8 (n,) and probability float64 (n,).

    Raises InputError if there are no rows, if a label is missing, or if a class is missing.
    """
    if predictions.empty:
        raise InputError(f"{name}: no rows to evaluate (part 'test'); predict the test images first")
    if predictions["target"].isna().any():
        raise InputError(f"{name}: an image has no label; give a file of labels (image, target), or a column target")
    target, probability = pair(predictions)
    if target.min() == target.max():
        kind = "melanoma" if target[0] else "benign"
        raise InputError(f"{name}: all {len(target)} images are {kind}: an AUROC needs both classes; check the labels")
    return target, probability


def pair(predictions: pd.DataFrame) -> tuple[NDArray[np.int8], Floats]:
    """Return target int8 (n,) and probability float64 (n,)."""
    return predictions["target"].to_numpy(dtype=np.int8), predictions["probability"].to_numpy()
