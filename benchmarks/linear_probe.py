"""Compares probes and neighbors on features of EfficientNet-Lites with a metadata model, on the folds of a study.

snakemake --cores 2 --configfile tests/studies/isic2020_subset.yaml --config images='{size: 288}' \\
    -- results/isic2020_subset/split/train.parquet
python benchmarks/linear_probe.py --study results/isic2020_subset --features features

The features of a network take minutes; FOLDER keeps them, and a file there is read. The confidence intervals resample
patients; the difference is paired.
"""

from pathlib import Path

import pandas as pd
import torch
from histogram import CONFIDENCE, REPLICATES, resampled, shown
from lite_weights import write_lite_weights
from measurement import Stopwatch, conditions, markdown, parser, publish
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.models.embeddings import Embeddings
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.training.embedder import embed

# The input of each EfficientNet-Lite, side in pixels.
SIDES = {0: 224, 2: 288}


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


def main() -> None:
    """Compare and write the table."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True, help="results of a study with images and split")
    options.add_argument("--features", type=Path, required=True, metavar="FOLDER", help="folder of the features")
    options.add_argument("--output", type=Path, default=Path("benchmarks/results/linear_probe.md"))
    args = options.parse_args()
    set_up_torch(1)
    args.features.mkdir(exist_ok=True)
    train, test = (pd.read_parquet(args.study / "split" / f"{part}.parquet") for part in ("train", "test"))
    models: list[tuple[str, Recipe, Embeddings | None]] = [
        ("age, sex, site", Recipe(network="logistic_regression"), None)
    ]
    probabilities, seconds = [], []
    with threadpool_limits(1):
        for number, side in SIDES.items():
            known = features(number, args.features, args.study / "images" / "images.h5")
            name = f"features of EfficientNet-Lite{number} at {side} px"
            models.append((name, probe(number, args.features, "image_only"), known))
            models.append((f"{name}, age, sex, site", probe(number, args.features, "image_and_metadata"), known))
            neighbors = probe(number, args.features, "image_only", "nearest_neighbors")
            models.append((f"nearest neighbors by {name}", neighbors, known))
        for _, recipe, embeddings in models:
            folds = sorted(train["fold"].unique())
            with Stopwatch() as fit:
                predictions, _ = out_of_fold_and_test(recipe, train, test, folds, "refit", 1, embeddings)
            probabilities.append(predictions.set_index("image").loc[train["image"], "probability"].to_numpy())
            seconds.append(fit.cpu)
    replicates = resampled(train, probabilities)
    aurocs = [roc_auc_score(train["target"], probability) for probability in probabilities]
    rows = [
        [
            models[number][0],
            shown(aurocs[number], replicates[:, number]),
            shown(aurocs[number] - aurocs[0], replicates[:, number] - replicates[:, 0]) if number else "",
            f"{seconds[number]:.1f}",
        ]
        for number in range(len(models))
    ]
    publish(
        args.output,
        "# Linear probes on the features of a frozen network\n",
        conditions("one thread"),
        "The networks have ImageNet weights. The features of an image are the means over 8 views. A fit is that of all"
        " folds and the refit, with the choice of the penalty or of the number of neighbors.\n",
        f"Pooled out-of-fold AUROC of {len(train)} images, {train['target'].sum()} melanomas,"
        f" {train['patient'].nunique()} patients, in {train['fold'].nunique()} folds. In brackets:"
        f" {CONFIDENCE:.0%} percentile intervals over {REPLICATES} bootstrap resamples of patients.\n",
        markdown(["model", "AUROC", "difference from age, sex, site", "fit, seconds"], rows),
    )


if __name__ == "__main__":
    main()
