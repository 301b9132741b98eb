"""The study of ISIC 2020's tables, without images."""

from pathlib import Path

import pytest
import yaml

from list_sizes import quality_table
from melanoma.config.data import Data
from melanoma.config.study import resolve
from melanoma.data.catalog import build_catalog
from melanoma.models.tabular import out_of_fold_and_test
from melanoma.split.assign import TEST_COLUMNS, TRAIN_COLUMNS, read_pairs, split_images, usable_images
from melanoma.stats.metrics import auroc
from project import ROOT
from real_data import real_data

STUDY = ROOT / "studies" / "isic2020_tables.yaml"


@pytest.mark.large
@pytest.mark.real_data
def test_the_tables_of_isic_2020_give_their_known_auroc() -> None:
    config = resolve(yaml.safe_load(STUDY.read_text()))
    folder = real_data("isic2020-tables")
    source, pairs = config.data.sources[0].dump(), folder / Path(config.split.duplicates).name
    tables = {key: str(folder / Path(source[key]).name) for key in ("table", "metadata")}
    catalog, _ = build_catalog(Data(sources=[source | tables]))
    split = split_images(usable_images(catalog, quality_table(catalog)), read_pairs(pairs), config.split).images
    test = split["part"] == "test"
    train, test = split.loc[~test, TRAIN_COLUMNS], split.loc[test, TEST_COLUMNS]
    found = []
    for recipe in config.models.values():
        predictions, _ = out_of_fold_and_test(recipe, train, test, config.split.run_folds, "fold_mean", 1)
        held_out = predictions[predictions["part"] == "train"]
        found.append(float(auroc(held_out["target"].astype(int), held_out["probability"])))
    assert found == pytest.approx([0.678, 0.741, 0.843], abs=0.01)
