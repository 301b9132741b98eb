"""Compares probes and neighbors on features of EfficientNet-Lites with fine-tuned ones, on the folds of a study.

snakemake --cores 2 --configfile tests/studies/isic2020_subset.yaml --config images='{size: 288}' \\
    -- results/isic2020_subset/split/train.parquet
python benchmarks/linear_probe.py --study results/isic2020_subset --features features

The features of a network and the fine-tuning of a fold take minutes; FOLDER keeps them, and a file there is read. The
confidence intervals resample patients; the difference is paired.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from histogram import CONFIDENCE, REPLICATES, resampled, shown
from lite_weights import write_lite_weights
from measurement import Stopwatch, conditions, markdown, parser, publish
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.models.embeddings import Embeddings
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.training import trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.embedder import embed
from melanoma.training.loader import Examples
from melanoma.training.predictor import restored
from melanoma.training.prefetch import Prefetch

# The input of each EfficientNet-Lite, side in pixels.
SIDES = {0: 224, 2: 288}
# Short, and of two folds, so that it takes minutes on a CPU.
FINE_TUNED_FOLDS = (0, 1)
FINE_TUNING = {
    "epochs": 3,
    "batch_size": 16,
    "optimizer": {"name": "adamw", "learning_rate": 5e-4},
    "schedule": {"per": "batch", "warmup_epochs": 0.5},
    "sampling": {"name": "none"},
    "augmentation": {"flip_horizontal": 0.5, "flip_vertical": 0.5, "affine": {"probability": 1.0, "rotate": 180}},
    "tta": {"name": "dihedral"},
}


def probe(number: int, folder: Path, head: str, kind: str = "linear_probe") -> Recipe:
    """Return the recipe of a model on features of EfficientNet-Lite`number`, whose weights file is in `folder`."""
    network = f"timm/tf_efficientnet_lite{number}"
    backbone = {"weights": str(folder / f"lite{number}.pth")}
    options = {"network": kind, kind: {"network": network}, "backbone": backbone}
    return Recipe.model_validate(options | {"input_size": SIDES[number], "head": head})


def features(number: int, folder: Path, images: Path) -> Embeddings:
    """Return the features that the probes of EfficientNet-Lite`number` read; they are kept in `folder`."""
    path = folder / f"lite{number}.npz"
    if not path.exists():
        write_lite_weights(number, folder / f"lite{number}.pth")
        network = probe(number, folder, "image_only").frozen_network
        assert network is not None
        embed(network, images, torch.device("cpu"), 0, Processes()).write(path)
    return Embeddings.read(path)


def fine_tuned(number: int, folder: Path, images: Path, table: pd.DataFrame) -> tuple[NDArray[np.float64], float]:
    """Return the logits of a fine-tuned EfficientNet-Lite`number`, and the CPU seconds of its trainings.

    The logits are those of the images of FINE_TUNED_FOLDS, others are 0. A training sees no image of its fold, also not
    to select an epoch. The logits of each fold are kept in `folder`.
    """
    write_lite_weights(number, folder / f"lite{number}.pth")
    options = {"network": f"timm/tf_efficientnet_lite{number}", "input_size": SIDES[number]}
    recipe = Recipe.model_validate(FINE_TUNING | options | {"backbone": {"weights": str(folder / f"lite{number}.pth")}})
    logits, seconds = np.zeros(len(table)), 0.0
    for fold in FINE_TUNED_FOLDS:
        path, held_out = folder / f"fine_tuned-lite{number}-{fold}.npz", table["fold"] == fold
        if not path.exists():
            with Stopwatch() as training:
                result = _fold(recipe, images, table[~held_out], table[held_out], folder / "resume")
            np.savez(path, logits=result, seconds=training.cpu)
        with np.load(path) as kept:
            logits[held_out] = kept["logits"]
            seconds += float(kept["seconds"])
    return logits, seconds


def _fold(
    recipe: Recipe, images: Path, train_rows: pd.DataFrame, held_out: pd.DataFrame, checkpoints: Path
) -> NDArray[np.float64]:
    """Train on some rows and return the logits of others."""
    run = trainer.Run(recipe, train_rows.reset_index(drop=True), None, images, recipe.epochs)
    kept: Checkpoints[trainer.Checkpoint] = Checkpoints(checkpoints, run.stamp())
    trained, _ = trainer.train(run, kept, None, Preemption(None), Processes())
    kept.clear()
    examples = Examples.of(held_out, MetadataEncoder.from_dict(trained["encoder"]), images, trained["size"])
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(trained, examples.metadata.shape[1], torch.device("cpu"), prefetch, Processes())
        return predictor.predict(examples, recipe.tta)[0]


def compared(table: pd.DataFrame, scores: dict[str, NDArray[np.float64]], base: str) -> list[list[str]]:
    """Return for each model its name, its AUROC, and the difference from that of the model `base`."""
    replicates = dict(zip(scores, resampled(table, list(scores.values())).T, strict=True))
    aurocs = {name: roc_auc_score(table["target"], score) for name, score in scores.items()}
    return [
        [
            name,
            shown(aurocs[name], replicates[name]),
            shown(aurocs[name] - aurocs[base], replicates[name] - replicates[base]) if name != base else "",
        ]
        for name in scores
    ]


def main() -> None:
    """Compare and write the tables."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True, help="results of a study with images and split")
    options.add_argument("--features", type=Path, required=True, metavar="FOLDER", help="folder of the features")
    options.add_argument("--output", type=Path, default=Path("benchmarks/results/linear_probe.md"))
    args = options.parse_args()
    set_up_torch(1)
    args.features.mkdir(exist_ok=True)
    train, test = (pd.read_parquet(args.study / "split" / f"{part}.parquet") for part in ("train", "test"))
    images, base = args.study / "images" / "images.h5", "age, sex, site"
    models: dict[str, tuple[Recipe, Embeddings | None]] = {base: (Recipe(network="logistic_regression"), None)}
    scores, seconds = {}, []
    with threadpool_limits(1):
        for number, side in SIDES.items():
            known, name = features(number, args.features, images), f"EfficientNet-Lite{number} at {side} px"
            models[f"linear probe, {name}"] = probe(number, args.features, "image_only"), known
            models[f"linear probe, {name}, {base}"] = probe(number, args.features, "image_and_metadata"), known
            models[f"nearest neighbors, {name}"] = (
                probe(number, args.features, "image_only", "nearest_neighbors"),
                known,
            )
        for name, (recipe, embeddings) in models.items():
            folds = sorted(train["fold"].unique())
            with Stopwatch() as fit:
                predictions, _ = out_of_fold_and_test(recipe, train, test, folds, "refit", 1, embeddings)
            scores[name] = predictions.set_index("image").loc[train["image"], "probability"].to_numpy()
            seconds.append(fit.cpu)
        tuned = {number: fine_tuned(number, args.features, images, train) for number in reversed(SIDES)}
    some = train["fold"].isin(FINE_TUNED_FOLDS).to_numpy()
    fine = {f"fine-tuned, EfficientNet-Lite{number} at {SIDES[number]} px": tuned[number][0] for number in tuned}
    beside = fine | scores
    beside = {name: score[some] for name, score in beside.items()}
    publish(
        args.output,
        "# Frozen features and fine-tuning\n",
        conditions(f"one thread; CPU seconds, on a machine with a load of {os.getloadavg()[0]:.0f}"),
        "The networks have ImageNet weights. The features of an image are the means over 8 views. A fit is that of all"
        " folds and the refit, with the choice of the penalty or of the number of neighbors.\n",
        f"Pooled out-of-fold AUROC of {described(train)}, in {train['fold'].nunique()} folds. In brackets:"
        f" {CONFIDENCE:.0%} percentile intervals over {REPLICATES} bootstrap resamples of patients.\n",
        markdown(
            ["model", "AUROC", f"difference from {base}", "fit, seconds"],
            [[*row, f"{fit:.1f}"] for row, fit in zip(compared(train, scores, base), seconds, strict=True)],
        ),
        "## Beside a fine-tuned network\n",
        f"The images of {len(FINE_TUNED_FOLDS)} folds: {described(train[some])}. The fine-tuning is short:"
        f" {FINE_TUNING['epochs']} epochs, the last of which predicts, as a mean over 8 views. The trainings took"
        f" {' and '.join(f'{took:.0f} seconds for Lite{number}' for number, (_, took) in tuned.items())}.\n",
        markdown(
            ["model", "AUROC", f"difference from {next(iter(fine))}"], compared(train[some], beside, next(iter(fine)))
        ),
    )


def described(table: pd.DataFrame) -> str:
    """Return how many images, melanomas and patients a table has."""
    return f"{len(table)} images, {table['target'].sum()} melanomas, {table['patient'].nunique()} patients"


if __name__ == "__main__":
    main()
