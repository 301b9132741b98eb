"""Compares the out-of-fold predictions of a network with gradient boosting of color histograms on the same folds.

snakemake --cores 4 --configfile tests/studies/isic2020_image.yaml
python benchmarks/histogram.py --study results/isic2020_image --model image --output benchmarks/results/histogram.md

The inputs of gradient boosting are histograms of each stored image: of 8 x 8 x 8 RGB colors, and of 32 levels of each
channel of RGB, HSV and Lab. It is scikit-learn's HistGradientBoostingClassifier with default settings. Both models are
trained and evaluated on the same images of each fold. The confidence intervals resample patients; the difference is
paired.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from measurement import conditions, markdown, parser, publish
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from melanoma.common.files import read_yaml
from melanoma.images.store import ImageStore

REPLICATES, CONFIDENCE = 2000, 0.95


def features(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the color histograms of an image, uint8 (S, S, 3) RGB. The sum of each is 1."""
    joint = np.histogramdd(image.reshape(-1, 3), bins=8, range=[(0, 256)] * 3)[0].ravel()
    spaces = (image, cv2.cvtColor(image, cv2.COLOR_RGB2HSV), cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
    single = [np.histogram(space[..., channel], bins=32, range=(0, 256))[0] for space in spaces for channel in range(3)]
    return np.concatenate([joint, *single]) / image[..., 0].size


def out_of_fold(train: pd.DataFrame, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each image by a model that is fitted to the other folds."""
    probability = np.empty(len(train))
    for fold in sorted(train["fold"].unique()):
        held_out = (train["fold"] == fold).to_numpy()
        model = HistGradientBoostingClassifier(random_state=0).fit(inputs[~held_out], train["target"][~held_out])
        probability[held_out] = model.predict_proba(inputs[held_out])[:, 1]
    return probability


def resampled(train: pd.DataFrame, scores: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the AUROC of each score in each bootstrap replicate of the patients, (replicates, scores)."""
    rows = list(train.groupby("patient").indices.values())
    random, target = np.random.default_rng(1), train["target"].to_numpy()
    aurocs = []
    for _ in range(REPLICATES):
        picked = np.concatenate([rows[patient] for patient in random.integers(0, len(rows), len(rows))])
        aurocs.append([roc_auc_score(target[picked], score[picked]) for score in scores])
    return np.array(aurocs)


def shown(value: float, replicates: NDArray[np.float64]) -> str:
    """Return a value with its percentile interval."""
    low, high = np.quantile(replicates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def main() -> None:
    """Compare and write the table."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True, help="results of a study with all folds run")
    options.add_argument("--model", required=True)
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    train = pd.read_parquet(args.study / "split" / "train.parquet")
    predictions = pd.read_parquet(args.study / "predict" / f"{args.model}.parquet")
    ours = train[["image"]].merge(predictions[predictions["part"] == "train"], on="image")["probability"].to_numpy()
    if len(ours) != len(train):
        sys.exit(f"{len(ours)} of {len(train)} training images have an out-of-fold prediction; run all folds")
    store = ImageStore(args.study / "images" / "images.h5")
    peer = out_of_fold(train, np.stack([features(store.read(np.array([row]))[0]) for row in train["row"]]))
    replicates = resampled(train, [ours, peer])
    values = [roc_auc_score(train["target"], score) for score in (ours, peer)]
    history = (args.study / "train" / args.model).glob("fold-*/history.csv")
    recipe = read_yaml(args.study / "config" / "models" / f"{args.model}.yaml")
    rows = [
        [f"{recipe['network']} from random weights", shown(values[0], replicates[:, 0])],
        ["color histogram, gradient boosting", shown(values[1], replicates[:, 1])],
        ["difference", shown(values[0] - values[1], replicates[:, 0] - replicates[:, 1])],
    ]
    size, folds = store.size, train["fold"].nunique()
    publish(
        args.output,
        "# A network from random weights against a color histogram\n",
        conditions(f"{len(list(history))} trainings of {recipe['epochs']} epochs at {size} px"),
        f"Pooled out-of-fold AUROC of {len(train)} images, {train['target'].sum()} melanomas,"
        f" {train['patient'].nunique()} patients, in {folds} folds. In brackets: 95 % percentile intervals"
        f" over {REPLICATES} bootstrap resamples of patients.\n",
        markdown(["model", "AUROC"], rows),
    )


if __name__ == "__main__":
    main()
