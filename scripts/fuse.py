"""Fuse the predictions of several models into one.

    python scripts/fuse.py --settings fusion.yaml --members cnn=predict/cnn.parquet mlp=predict/mlp.parquet \\
        --train split/train.parquet --test split/test.parquet --output fuse/mean.parquet --weights fuse/mean.json

The settings are those of a fusion in the configuration: method, members, weights, inputs, context,
gradient_boosting, and folds and seed of the fits. A weighted fusion without weights, logistic and
gradient_boosting are fitted to out-of-fold predictions and the labels of train; their out-of-fold rows are
each fused by a fit to other patients. Labels of test are never read.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.cli import log, run
from melanoma.common.errors import InputError
from melanoma.common.files import read_yaml, write_json, write_parquet
from melanoma.fusion.rules import METHODS, fuse, log_loss, normalized, with_probability
from melanoma.fusion.saved_fusion import Fusion, reference_of
from melanoma.fusion.stacking import STACKED, cross_fits, fit_of, fusion_table
from melanoma.predictions.table import COLUMNS, named_paths, read_predictions

DEFAULTS = {"weights": None, "inputs": [], "context": False, "gradient_boosting": None, "folds": 5, "seed": 1}


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--settings", type=Path, required=True, metavar="YAML", help="method, members, weights, ...")
    parser.add_argument("--members", nargs="+", required=True, metavar="NAME=FILE", help="predictions to fuse")
    parser.add_argument("--train", type=Path, metavar="FILE", help="labels and metadata of train, to fit with")
    parser.add_argument("--test", type=Path, metavar="FILE", help="metadata of test")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="fused predictions, Parquet")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the fusion itself and what tells of it, JSON")


def main(args: argparse.Namespace) -> None:
    """Read the members, find the weights, write the fused predictions."""
    paths = named_paths(args.members)
    settings = read_settings(args.settings, list(paths))
    absent = [name for name in settings["members"] if name not in paths]
    if absent:
        raise InputError(f"{args.settings}: members without predictions: {', '.join(absent)}; give NAME=FILE")
    members = {name: read_predictions(paths[name]) for name in settings["members"]}
    if settings["method"] in STACKED or (settings["method"] == "weighted" and settings["weights"] is None):
        fused, told = fit_and_fuse(members, settings, args.train, args.test)
    else:
        fused, told = fuse(members, settings["method"], settings["weights"]), by_rule(members, settings)
    write_parquet(args.output, fused[COLUMNS])
    log.info("weights: %s", ", ".join(f"{name} {weight:.3f}" for name, weight in told["weights"].items()) or "none")
    if args.weights:
        write_json(args.weights, told)


def read_settings(path: Path, members: list[str]) -> dict[str, Any]:
    """Read the settings of a fusion, with defaults; raise InputError for an unknown key or method."""
    given = read_yaml(path)
    methods = list(dict.fromkeys([*METHODS, *STACKED]))
    if not isinstance(given, dict) or given.get("method") not in methods:
        raise InputError(f"{path}: 'method' must be one of {', '.join(methods)}")
    settings = {"members": members} | DEFAULTS | given
    unknown = sorted(set(settings) - {"method", "members", *DEFAULTS})
    if unknown:
        raise InputError(
            f"{path}: unknown keys {', '.join(unknown)}; a fusion has method, members, {', '.join(DEFAULTS)}"
        )
    return settings


def by_rule(members: dict[str, pd.DataFrame], settings: dict[str, Any]) -> dict[str, Any]:
    """Return what to tell of a fusion that is not fitted."""
    names, method = settings["members"], settings["method"]
    used = normalized(settings["weights"] or dict.fromkeys(names, 1), names).tolist()
    model = Fusion(
        method,
        names,
        weights=used if method == "weighted" else None,
        reference=reference_of(members) if method == "rank_mean" else None,
    )
    weights = dict(zip(names, used, strict=True))
    return {"method": method, "weights": weights, "fitted": False, "model": model.to_dict()}


def fit_and_fuse(
    members: dict[str, pd.DataFrame], settings: dict[str, Any], train: Path | None, test: Path | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Fit the fusion; return its predictions, and its weights, rows and log losses out of fold."""
    if train is None:
        raise InputError("the fusion is to be fitted: give --train with the labels, or weights in the settings")
    known = pd.read_parquet(train)
    unlabeled = pd.read_parquet(test) if test else known.iloc[:0].drop(columns="target")
    table = fusion_table(members, known, unlabeled, settings["context"])
    probability, combination, folds = cross_fits(table, fit_of(settings), settings["folds"], settings["seed"])
    is_train = (table["part"] == "train").to_numpy()
    target = table.loc[is_train, "target"].to_numpy()
    losses = {name: log_loss(target, table.loc[is_train, f"probability {name}"].to_numpy()) for name in members}
    prevalence = float(target.mean())
    model = Fusion(
        settings["method"],
        settings["members"],
        context=settings["context"],
        combination=combination,
        folds=tuple(folds),
        trained_prevalence=prevalence,
    )
    told = {
        "method": settings["method"],
        "weights": combination.summary(),
        "fitted": True,
        "context": settings["context"],
        "rows": int(is_train.sum()),
        "log_loss": losses | {"fused": log_loss(target, probability[is_train])},
        "model": model.to_dict(),
    }
    first = next(iter(members.values()))
    return with_probability(first, probability, prevalence), told


if __name__ == "__main__":
    run(describe, main, __doc__)
