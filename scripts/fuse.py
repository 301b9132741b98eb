"""Fuse the predictions of several models into one.

    python scripts/fuse.py --settings fusion.yaml --members cnn=predict/cnn.parquet mlp=predict/mlp.parquet \\
        --train split/train.parquet --output fuse/mean.parquet --weights fuse/mean.json

The settings are {method: mean | rank_mean | weighted, members: [...], weights: {member: weight, ...} or
null}. A weighted fusion without weights fits them to out-of-fold predictions and the labels of train; labels
of test are never read.
"""

import argparse
from pathlib import Path
from typing import Any

from melanoma.command import log, run
from melanoma.errors import InputError
from melanoma.files import read_yaml, write_json, write_parquet
from melanoma.fusion import METHODS, fit_weights, fuse, log_loss, normalised, out_of_fold
from melanoma.predictions import COLUMNS, named_paths, read_labels, read_predictions


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script."""
    parser.add_argument("--settings", type=Path, required=True, metavar="YAML", help="method, members, weights")
    parser.add_argument("--members", nargs="+", required=True, metavar="NAME=FILE", help="predictions to fuse")
    parser.add_argument("--train", type=Path, metavar="FILE", help="labels of train, to fit weights with")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="fused predictions, Parquet")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="the weights used, JSON")


def main(args: argparse.Namespace) -> None:
    """Read the members, find the weights, write the fused predictions."""
    settings = read_settings(args.settings)
    paths = named_paths(args.members)
    names = settings.get("members") or list(paths)
    absent = [name for name in names if name not in paths]
    if absent:
        raise InputError(f"{args.settings}: members without predictions: {', '.join(absent)}; give NAME=FILE")
    members = {name: read_predictions(paths[name]) for name in names}
    method, weights = settings["method"], settings.get("weights")
    fit: dict[str, Any] = {}
    if method == "weighted" and weights is None:
        weights, fit = fitted(members, args.train)
    fused = fuse(members, method, weights)
    write_parquet(args.output, fused[COLUMNS])
    used = normalised(weights if method == "weighted" else dict.fromkeys(names, 1), names)
    log.info("weights: %s", ", ".join(f"{name} {weight:.3f}" for name, weight in zip(names, used, strict=True)))
    if args.weights:
        by_name = dict(zip(names, used.tolist(), strict=True))
        write_json(args.weights, {"method": method, "weights": by_name, "fitted": bool(fit), **fit})


def read_settings(path: Path) -> dict[str, Any]:
    """Read the settings of a fusion; raise InputError for an unknown key or method."""
    settings = read_yaml(path)
    if not isinstance(settings, dict) or settings.get("method") not in METHODS:
        raise InputError(f"{path}: 'method' must be one of {', '.join(METHODS)}")
    unknown = sorted(set(settings) - {"method", "members", "weights"})
    if unknown:
        raise InputError(f"{path}: unknown keys {', '.join(unknown)}; a fusion has method, members and weights")
    return settings


def fitted(members: dict[str, Any], train: Path | None) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit weights to train; return them, and the rows and the log losses that they were fitted to."""
    if train is None:
        raise InputError("weights are to be fitted: give --train with the labels, or weights in the settings")
    labels = read_labels(train)
    weights = fit_weights(members, labels)
    columns, target = out_of_fold(members, labels)
    losses = {name: log_loss(target, column) for name, column in zip(members, columns.T, strict=True)}
    losses["fused"] = log_loss(target, columns @ normalised(weights, list(members)))
    return weights, {"rows": len(target), "log_loss": losses}


if __name__ == "__main__":
    run(describe, main, __doc__)
