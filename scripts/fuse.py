"""Fuse the predictions of several models into one.

    python scripts/fuse.py --settings fusion.yaml --members cnn=predict/cnn.parquet mlp=predict/mlp.parquet \\
        --train split/train.parquet --test split/test.parquet --output fuse/mean.parquet --weights fuse/mean.json

The settings are those of a fusion (melanoma.config.study.FusionSettings). A weighted fusion without weights, logistic
and gradient_boosting are fitted to out-of-fold predictions and the labels of train. Each of their out-of-fold rows is
fused by a fit to other patients. Members that were trained at another prevalence than the study's are shifted to it
first, by the labels of train (prior_correction). Labels of the test are never read.
"""

import argparse
from pathlib import Path

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_parquet, write_json, write_parquet
from melanoma.config.errors import read_settings
from melanoma.config.study import FusionSettings
from melanoma.fusion.by_fold import with_fold_logits
from melanoma.fusion.priors import corrected, prior_shifts
from melanoma.fusion.rules import fuse, normalized, with_probability
from melanoma.fusion.saved_fusion import Fusion, FusionFile, rank_reference
from melanoma.fusion.stacking import STACKED, cross_fits, fit_function, fusion_table
from melanoma.predictions.table import COLUMNS, fold_columns, named_paths, read_predictions
from melanoma.stats.metrics import log_loss


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--settings", type=Path, required=True, metavar="YAML", help="a fusion, its folds and seed")
    parser.add_argument("--members", nargs="+", required=True, metavar="NAME=FILE", help="predictions to fuse")
    parser.add_argument("--train", type=Path, metavar="FILE", help="labels and metadata of train")
    parser.add_argument("--test", type=Path, metavar="FILE", help="metadata of test")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="fused predictions, Parquet")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the fusion and a description of its fit, JSON")


def main(args: argparse.Namespace) -> None:
    """Read the members, fit the fusion if it is a fitted one, write the fused predictions."""
    paths = named_paths(args.members)
    settings = read_settings(FusionSettings, args.settings)
    missing = [name for name in settings.members if name not in paths]
    if missing:
        raise InputError(f"{args.settings}: members without predictions: {', '.join(missing)}; give NAME=FILE")
    members = {name: read_predictions(paths[name]) for name in settings.members}
    shifts = shifts_of_members(members, settings, args.train)
    if settings.method in STACKED or (settings.method == "weighted" and settings.weights is None):
        fused, description = fit_and_fuse(members, settings, shifts, args.train, args.test)
    else:
        fused, description = fuse_by_rule(members, settings, shifts)
    write_parquet(args.output, fused[[*COLUMNS, *fold_columns(fused)]])
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in description["weights"].items())
    log.info("weights: %s", weights or "none")
    if args.weights:
        write_json(args.weights, description)


def shifts_of_members(
    members: dict[str, pd.DataFrame], settings: FusionSettings, train: Path | None
) -> dict[str, float]:
    """Return the prior correction of each member, empty if it is off. A rank mean needs none: no order changes."""
    if not settings.prior_correction or settings.method == "rank_mean":
        return {}
    if train is None:
        log.warning("no prior correction of the members without --train, which has the study's share of melanomas")
        return {}
    shifts = prior_shifts(members, read_parquet(train))
    for name, shift in shifts.items():
        log.info("prior correction: %s was trained at another prevalence; log-odds shifted by %+.3f", name, shift)
    return shifts


def fuse_by_rule(
    members: dict[str, pd.DataFrame], settings: FusionSettings, shifts: dict[str, float]
) -> tuple[pd.DataFrame, FusionFile]:
    """Return the predictions and the file of a fusion that is not fitted."""

    def fused(members: dict[str, pd.DataFrame]) -> pd.DataFrame:
        return fuse(corrected(members, shifts), settings.method, settings.weights)

    return with_fold_logits(fused(members), members, fused), by_rule(corrected(members, shifts), settings, shifts)


def by_rule(members: dict[str, pd.DataFrame], settings: FusionSettings, shifts: dict[str, float]) -> FusionFile:
    """Return the file of a fusion that is not fitted."""
    names, method = list(settings.members), settings.method
    weights = normalized(settings.weights or dict.fromkeys(names, 1), names).tolist()
    model = Fusion(
        method,
        names,
        weights=weights if method == "weighted" else None,
        reference=rank_reference(members) if method == "rank_mean" else None,
        prior_shifts=shifts,
    )
    by_name = dict(zip(names, weights, strict=True))
    return {"method": method, "weights": by_name, "fitted": False, "model": model.to_dict()}


def fit_and_fuse(
    members: dict[str, pd.DataFrame],
    settings: FusionSettings,
    shifts: dict[str, float],
    train: Path | None,
    test: Path | None,
) -> tuple[pd.DataFrame, FusionFile]:
    """Fit the fusion; return its predictions and its file."""
    uncorrected, members = members, corrected(members, shifts)
    if train is None:
        raise InputError("the fusion is a fitted one: give --train with the labels, or weights in the settings")
    labeled = read_parquet(train)
    unlabeled = read_parquet(test) if test else labeled.iloc[:0].drop(columns="target")
    table = fusion_table(members, labeled, unlabeled, settings.context)
    probability, combination, folds = cross_fits(table, fit_function(settings), settings.folds, settings.seed)
    is_train = (table["part"] == "train").to_numpy()
    target = table.loc[is_train, "target"].to_numpy()
    losses = {name: float(log_loss(target, table.loc[is_train, f"probability {name}"])) for name in members}
    prevalence = float(target.mean())
    model = Fusion(
        settings.method,
        list(settings.members),
        context=settings.context,
        combination=combination,
        folds=tuple(folds),
        trained_prevalence=prevalence,
        prior_shifts=shifts,
    )
    description: FusionFile = {
        "method": settings.method,
        "weights": combination.summary(),
        "fitted": True,
        "context": settings.context,
        "rows": int(is_train.sum()),
        "log_loss": losses | {"fused": float(log_loss(target, probability[is_train]))},
        "model": model.to_dict(),
    }
    first = next(iter(members.values()))
    fused = with_probability(first, probability, prevalence)
    known = pd.concat([labeled.drop(columns="target"), unlabeled], ignore_index=True)
    return with_fold_logits(fused, uncorrected, lambda members: model.predict(members, known)), description


if __name__ == "__main__":
    run(describe, main, __doc__)
