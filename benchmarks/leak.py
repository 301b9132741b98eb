"""Compares the out-of-fold AUROC of a leaky split with that of a split by patient, on the tables of ISIC 2020.

python benchmarks/leak.py --tables FOLDER        writes results/leak.md

The same models predict the same images out of fold with two splits. One keeps patients and listed duplicates together.
The other one divides the table in file order, as a published protocol does, so nearly every patient is in training and
in validation. These models read no pixels; leak_networks.py measures the effect on networks.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from measurement import ROOT, conditions, markdown, parser, publish

from list_sizes import quality_table
from melanoma.common.files import read_yaml
from melanoma.config.recipe import Recipe
from melanoma.config.study import Study, resolve
from melanoma.data.catalog import build_catalog
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.split.assign import TEST_COLUMNS, TRAIN_COLUMNS, read_pairs, split_images, usable_images
from melanoma.stats.bootstrap import Interval, estimate
from melanoma.stats.comparison import compare
from melanoma.stats.metrics import Ranking

STUDY = ROOT / "studies" / "isic2020_tables.yaml"
RESULTS = Path(__file__).parent / "results" / "leak.md"
FOLDS = range(5)
INPUTS = ["age", "sex", "site", "images_per_patient", "size"]
MODELS = {
    "logistic regression": {"network": "logistic_regression", "inputs": INPUTS},
    "gradient boosting": {"network": "gradient_boosting", "inputs": INPUTS},
    "random forest, depth 2": {"network": "random_forest", "inputs": INPUTS},
    "random forest, depth 30": {"network": "random_forest", "inputs": INPUTS, "random_forest": {"max_depth": 30}},
}


def configuration(tables: Path) -> Study:
    """Return the study of the tables with MODELS and with the tables in the folder `tables`."""
    config = read_yaml(STUDY) | {"models": {f"model_{n}": recipe for n, recipe in enumerate(MODELS.values())}}
    source = config["data"]["sources"][0]
    source |= {key: str(tables / Path(source[key]).name) for key in ("table", "metadata")}
    config["split"]["duplicates"] = str(tables / Path(config["split"]["duplicates"]).name)
    return resolve(config)


def split(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training images, with folds that keep patients together, and the test images."""
    catalog, _ = build_catalog(study.data)
    pairs = read_pairs(study.split.duplicates)
    images = split_images(usable_images(catalog, quality_table(catalog)), pairs, study.split).images
    test = images["part"] == "test"
    return images.loc[~test, TRAIN_COLUMNS], images.loc[test, TEST_COLUMNS]


def in_file_order(train: pd.DataFrame) -> pd.DataFrame:
    """Return the same images with folds in file order, whatever the patient."""
    return train.assign(fold=np.arange(len(train), dtype=np.int64) * len(FOLDS) // len(train))


def out_of_fold(recipe: Recipe, train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return the out-of-fold predictions of a model, sorted by image."""
    predictions, _ = out_of_fold_and_test(recipe, train, test, FOLDS, "fold_mean", os.cpu_count() or 1)
    return predictions[predictions["part"] == "train"].sort_values("image", ignore_index=True)


def shown(bounds: Interval) -> str:
    """Return a value with its confidence interval."""
    return f"{bounds['value']:.4f} [{bounds['low']:.4f}, {bounds['high']:.4f}]"


def main() -> None:
    """Compare and publish."""
    options = parser(__doc__)
    options.add_argument("--tables", type=Path, required=True, help="folder of ISIC 2020's tables")
    study = configuration(options.parse_args().tables)
    train, test = split(study)
    shared = in_file_order(train).groupby("patient")["fold"].nunique().gt(1).mean()
    rows = []
    for name, recipe in zip(MODELS, study.models.values(), strict=True):
        apart, mixed = out_of_fold(recipe, train, test), out_of_fold(recipe, in_file_order(train), test)
        target, patient = apart["target"].astype(int), apart["patient"]
        scores = {"mixed": mixed["probability"], "apart": apart["probability"]}
        found = estimate({key: Ranking(target, score) for key, score in scores.items()}, target, patient)
        (row,) = compare(target, scores, patient, 2000, 0.95, 1)
        rows.append([name, *(shown(found[key]["auroc"].bounds) for key in scores), shown(row["difference"])])
        print(*rows[-1], flush=True)
    publish(
        RESULTS,
        "# The optimism of a leaky split\n",
        "Out-of-fold AUROC in five folds, with 95 % confidence intervals over patients. The differences are paired.\n",
        markdown(["model", "file order", "patients together", "difference"], rows),
        conditions(
            f"{len(train):,} images of {train['patient'].nunique():,} patients, {shared:.0%} of whom have images in"
            " more than one fold of the file order"
        ),
    )


if __name__ == "__main__":
    main()
