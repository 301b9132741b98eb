"""benchmarks/leak_networks.py: two trainings differ in the other images of the test's patients, and in nothing else."""

from pathlib import Path

import leak_networks
import numpy as np
import pandas as pd
import pytest
from leak_networks import ARMS, areas, divided, logits, scored, study_images, trained, write_splits

import tiny
from melanoma.split.given import read_saved
from melanoma.stats.metrics import auroc

# 30 patients with three images each, then 30 with one.
IMAGES = tiny.table(120).assign(group=[number // 3 if number < 90 else number for number in range(120)])
FOLDS = list(divided(IMAGES, seed=1))
HALVES = [(fold.apart, half) for fold in FOLDS for half in fold.halves]


def names(table):
    return set(table["image"])


def test_each_image_of_a_patient_with_several_is_test_once():
    tested = pd.concat([half.test["image"] for _, half in HALVES])
    assert sorted(tested) == sorted(IMAGES.loc[IMAGES.duplicated("group", keep=False), "image"])
    assert all(half.test["target"].nunique() == 2 for _, half in HALVES)


def test_apart_has_all_images_of_all_other_patients_and_no_more():
    for apart, half in HALVES:
        assert names(apart) == names(IMAGES[~IMAGES["group"].isin(half.test["group"])])


def test_mixed_has_the_other_images_of_the_test_patients_in_the_places_of_as_many_of_the_same_class():
    for apart, half in HALVES:
        assert names(half.others) == names(IMAGES[IMAGES["group"].isin(half.test["group"])]) - names(half.test)
        assert half.mixed["image"].is_unique and names(half.mixed) - names(apart) == names(half.others)
        np.testing.assert_array_equal(half.mixed["target"], apart["target"])
        assert (half.mixed["image"].to_numpy() != apart["image"].to_numpy()).sum() == len(half.others)


def test_another_seed_is_another_division():
    assert names(next(divided(IMAGES, seed=2)).halves[0].test) != names(FOLDS[0].halves[0].test)


def test_both_networks_score_the_same_images(monkeypatch):
    tables = []
    monkeypatch.setattr(leak_networks, "trained", lambda table, *_: tables.append(names(table)) or len(tables) - 1)
    monkeypatch.setattr(leak_networks, "logits", lambda network, test, *_: np.full(len(test), network))
    rows = scored(IMAGES, tiny.recipe(seed=1), Path("images.h5"))
    assert len(tables) == 3 * leak_networks.FOLDS
    for number, (apart, half) in enumerate(HALVES):
        of_half = rows[rows["network"] == number]
        assert names(of_half) == names(half.test)
        assert [tables[network] for network in of_half["mixed"]] == [names(half.mixed)] * len(of_half)
        assert [tables[network] for network in of_half["apart"]] == [names(apart)] * len(of_half)
    classes = {(image, target): set(half.others.loc[half.others["group"] == group, "target"]) for _, half in HALVES
               for image, group, target in half.test[["image", "group", "target"]].itertuples(index=False)}  # fmt: skip
    alike = {image for (image, target), others in classes.items() if others == {target}}
    assert names(rows[rows["alike"]]) == alike and 0 < len(alike) < len(rows)


def test_a_network_trains_as_in_the_workflow_and_does_not_read_the_labels_of_the_test(tmp_path):
    store, recipe = tiny.write_store(tmp_path / "images.h5", IMAGES), tiny.recipe(epochs=2)
    apart, test = FOLDS[0].apart, FOLDS[0].halves[0].test
    network = trained(apart, recipe, store)
    assert network["epoch"] == 2
    scores = logits(network, test, recipe, store)
    assert auroc(test["target"], scores) > 0.9  # the melanomas are darker
    np.testing.assert_array_equal(logits(network, test.assign(target=0), recipe, store), scores)


def test_the_difference_is_paired_and_compares_images_of_one_network():
    draw = np.random.default_rng(0)
    rows = pd.concat([half.test.assign(seed=1, network=number) for number, (_, half) in enumerate(HALVES)])
    rows = rows.assign(mixed=draw.normal(rows["target"]), apart=draw.normal(rows["target"]))
    found = areas(rows)
    pairs = rows.groupby("network")["target"].agg(lambda target: target.sum() * (1 - target).sum())
    for arm in ARMS:
        each = [auroc(part["target"], part[arm]) for _, part in rows.groupby("network")]
        assert found[arm]["value"] == pytest.approx(np.average(each, weights=pairs))
    assert found["difference"]["value"] == pytest.approx(found["mixed"]["value"] - found["apart"]["value"])
    shifted = areas(rows.assign(mixed=rows["apart"] + rows["network"]))["difference"]
    assert (shifted["low"], shifted["value"], shifted["high"]) == (0, 0, 0)


def test_the_two_studies_get_the_same_test_and_as_many_training_images_of_each_class(tmp_path):
    for folder in ("catalog", "images", "split"):
        (tmp_path / folder).mkdir()
    catalog = IMAGES.drop(columns=["row", "group", "fold"]).assign(role="study")
    catalog.to_parquet(tmp_path / "catalog/catalog.parquet")
    quality = IMAGES[["image"]].assign(readable=True, width=1, height=1)
    quality.to_parquet(tmp_path / "images/quality.parquet")
    IMAGES[["image", "group"]].to_parquet(tmp_path / "split/split.parquet")
    write_splits(study_images(tmp_path), tmp_path)
    splits = {arm: read_saved(tmp_path / f"{arm}.csv").merge(IMAGES, on="image") for arm in ARMS}
    tests = [names(split[split["part"] == "test"]) for split in splits.values()]
    classes = [split.groupby("part")["target"].value_counts().to_dict() for split in splits.values()]
    assert tests[0] == tests[1] == names(FOLDS[0].halves[0].test) and classes[0] == classes[1]
    both = {arm: set(split.loc[split["part"] == "train", "group"]) & set(split.loc[split["part"] == "test", "group"])
            for arm, split in splits.items()}  # fmt: skip
    assert not both["apart"] and both["mixed"] == set(FOLDS[0].halves[0].test["group"])
