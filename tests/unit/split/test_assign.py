"""The split is grouped, stratified and reproducible, and the check for leaks accepts it."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from calls import count_calls
from melanoma.common.errors import InputError
from melanoma.config.split import Split
from melanoma.split.assign import group_images, read_pairs, usable_images
from melanoma.split.assign import split_images as split_study
from melanoma.split.leakage import Tables, check, require_no_leaks
from project import ROOT
from real_data import real_data

SETTINGS = Split()
NO_PAIRS = pd.DataFrame({"first": [], "second": []}, dtype="str")


def cohort(patients: list[int], targets: list[int], lesions: list[int | None]) -> pd.DataFrame:
    """Return one image for each entry; entries with the same patient or lesion belong together."""
    count = len(patients)
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "image": pd.Series([f"ISIC_{k:05d}" for k in range(count)], dtype="str"),
            "patient": pd.Series([f"IP_{k}" for k in patients], dtype="str"),
            "lesion": pd.Series([None if k is None else f"IL_{k}" for k in lesions], dtype="str"),
            "target": np.array(targets, np.int8),
            "sex": pd.Series([None] * count, dtype="str"),
            "age": np.nan,
            "site": pd.Series([None] * count, dtype="str"),
            "width": np.where(np.arange(count) % 3, 6000, 640),
            "height": np.where(np.arange(count) % 3, 4000, 480),
            "role": pd.Series(["study"] * count, dtype="str"),
        }
    )


def random_cohort(patients: int, seed: int, prevalence: float = 0.1) -> pd.DataFrame:
    """Return patients with 1 to some dozens of images, few of them with many, as in ISIC 2020."""
    random = np.random.default_rng(seed)
    sizes = np.minimum(random.geometric(0.15, patients), 60)
    patient = np.repeat(np.arange(patients), sizes)
    target = (random.random(len(patient)) < prevalence).astype(int)
    return cohort(patient.tolist(), target.tolist(), [None] * len(patient))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw images with patients, lesions of several patients, and pairs, some with unknown images."""
    count = draw(st.integers(20, 120))
    numbers = lambda most: st.lists(st.integers(0, most), min_size=count, max_size=count)  # noqa: E731
    lesions = draw(st.lists(st.none() | st.integers(0, count), min_size=count, max_size=count))
    images = cohort(draw(numbers(count)), draw(numbers(1)), lesions)
    names = st.integers(0, count + 5).map("ISIC_{:05d}".format)
    pairs = draw(st.lists(st.tuples(names, names), max_size=5))
    return images, pd.DataFrame(pairs, columns=["first", "second"], dtype="str")


def leakage(split: pd.DataFrame, pairs: pd.DataFrame = NO_PAIRS) -> dict[str, Any]:
    test = split["part"] == "test"
    files = pd.DataFrame({"image": split["image"], "sha256": split["image"]})
    folds = int(split["fold"].max()) + 1
    features = ["row", "image", "patient", "lesion", "sex", "age", "site", "width", "height"]
    train = split.loc[~test, [*features, "target", "fold"]]
    return check(Tables(train, split.loc[test, features], files, pairs, NO_PAIRS, folds))


def split_images(images: pd.DataFrame, pairs: pd.DataFrame, settings: Split) -> pd.DataFrame:
    return split_study(images, pairs, settings).images


def split_or_skip(images: pd.DataFrame, pairs: pd.DataFrame, changes: dict[str, Any]) -> pd.DataFrame:
    try:
        return split_images(images, pairs, SETTINGS.model_copy(update=changes))
    except InputError:
        assume(False)
        raise


@given(
    given_=cohorts(),
    folds=st.integers(2, 4),
    seed=st.integers(0, 9),
    test_fraction=st.sampled_from([0.15, 0.3, 0.5]),
)
def test_no_patient_lesion_or_pair_is_ever_split_and_every_image_is_in_one_place(
    given_: tuple[pd.DataFrame, pd.DataFrame], folds: int, seed: int, test_fraction: float
) -> None:
    images, pairs = given_
    split = split_or_skip(images, pairs, {"folds": folds, "seed": seed, "test_fraction": test_fraction})
    assert split["image"].tolist() == images["image"].tolist()
    assert ((split["part"] == "test") == (split["fold"] == -1)).all()
    assert set(split["fold"]) == set(range(-1, folds))
    assert (split.groupby("patient")["fold"].nunique() == 1).all()
    assert (split.groupby("lesion")["fold"].nunique() <= 1).all()
    assert (split.groupby("group")["fold"].nunique() == 1).all()
    fold = split.set_index("image")["fold"]
    for first, second in pairs.itertuples(index=False):
        assert first not in fold or second not in fold or fold[first] == fold[second]
    assert (split.groupby("fold")["target"].nunique() == 2).all()
    assert leakage(split, pairs)["findings"] == []


@given(given_=cohorts(), shuffle=st.integers(0, 99))
def test_the_order_of_the_rows_has_no_effect(given_: tuple[pd.DataFrame, pd.DataFrame], shuffle: int) -> None:
    images, pairs = given_
    split = split_or_skip(images, pairs, {"folds": 2})
    shuffled = images.sample(frac=1, random_state=shuffle)
    again = split_images(shuffled, pairs.iloc[::-1], SETTINGS.model_copy(update={"folds": 2}))
    assert again["image"].tolist() == shuffled["image"].tolist()
    pd.testing.assert_frame_equal(again.sort_values("row", ignore_index=True), split)


@given(given_=cohorts())
def test_groups_are_the_connected_components(given_: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    images, pairs = given_
    rows = list(images[["image", "patient", "lesion"]].itertuples(index=False))
    listed = set(pairs.itertuples(index=False, name=None))
    group = list(range(len(rows)))
    for (i, one), (j, other) in combinations(enumerate(rows), 2):
        linked = one.patient == other.patient or one.lesion == other.lesion
        if linked or listed & {(one.image, other.image), (other.image, one.image)}:
            group = [group[i] if number == group[j] else number for number in group]
    assert group_images(images, ["patient", "lesion"], pairs).tolist() == pd.factorize(np.array(group))[0].tolist()


@pytest.mark.parametrize("test_fraction", [0.1, 0.2, 1 / 3, 0.5])
@pytest.mark.parametrize("folds", [2, 5, 10])
def test_parts_and_folds_are_close_to_their_share_of_images_and_melanomas(test_fraction: float, folds: int) -> None:
    images = random_cohort(600, seed=folds)
    split = split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"test_fraction": test_fraction, "folds": folds}))
    for target, slack in ((0, 8), (1, 3)):
        counts = split[split["target"] == target].groupby("fold").size()
        assert abs(counts[-1] - test_fraction * counts.sum()) <= slack
        assert counts[counts.index >= 0].max() - counts[counts.index >= 0].min() <= slack


def test_test_has_its_share_of_the_patients_with_many_images() -> None:
    images = random_cohort(2000, seed=3)
    split = split_images(images, NO_PAIRS, SETTINGS)
    patients = split.groupby("patient").agg(size=("image", "size"), part=("part", "first"))
    large = patients[patients["size"] >= patients["size"].quantile(0.9)]
    assert 0.13 < (large["part"] == "test").mean() < 0.27


def test_the_seed_alone_changes_who_is_in_test() -> None:
    images = random_cohort(300, seed=0)
    tests = [
        frozenset(s.loc[s["part"] == "test", "patient"])
        for s in (split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"seed": seed})) for seed in (1, 1, 2, 3))
    ]
    assert tests[0] == tests[1] and len(set(tests)) == 3
    largest = images["patient"].value_counts().index[:60]
    assert len(set(largest) & set.union(*map(set, tests))) > 20, "the largest patients are drawn, too"


def test_on_request_each_size_of_each_class_is_shared_out() -> None:
    images = random_cohort(600, seed=1)
    images["width"] = np.where(pd.factorize(images["patient"])[0] % 3, 6000, 640)
    spread = {}
    for stratify in (["target"], ["target", "size"]):
        split = split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"stratify": stratify}))
        folds = split[(split["target"] == 1) & (split["fold"] >= 0)]
        counts = folds.groupby(["width", "fold"]).size().unstack()
        spread[len(stratify)] = (counts.max(axis=1) - counts.min(axis=1)).max()
    assert spread[2] <= 2 < spread[1]


def test_patients_with_few_and_with_many_images_are_shared_out() -> None:
    split = split_images(random_cohort(1000, seed=1), NO_PAIRS, SETTINGS)
    patients = split.groupby("patient").agg(size=("image", "size"), fold=("fold", "first"))
    counts = patients.groupby([np.frexp(patients["size"])[1], "fold"]).size().unstack(fill_value=0)
    folds = counts.drop(columns=-1)
    assert (folds.max(axis=1) - folds.min(axis=1)).max() <= 8


def test_where_many_patients_are_linked_parts_are_still_even() -> None:
    images = random_cohort(1000, seed=1)
    pairs = pd.DataFrame(
        np.random.default_rng(1).choice(images["image"], (100, 2)), columns=["first", "second"], dtype="str"
    )
    split = split_images(images, pairs, SETTINGS)
    for target, slack in ((0, 8), (1, 3)):
        counts = split[split["target"] == target].groupby("fold").size()
        assert abs(counts[-1] - 0.2 * counts.sum()) <= slack
        assert counts[counts.index >= 0].max() - counts[counts.index >= 0].min() <= slack


def test_a_patient_and_a_lesion_of_the_same_name_are_not_linked() -> None:
    images = cohort(list(range(40)), [0, 1] * 20, [None] * 40)
    images.loc[1, ["patient", "lesion"]] = [None, "IP_0"]
    placed = {
        tuple(split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"folds": 2, "seed": seed}))["fold"][:2])
        for seed in range(20)
    }
    assert any(patient != lesion for patient, lesion in placed)


def test_grouping_by_lesion_alone_is_caught_by_the_leakage_check() -> None:
    images = random_cohort(60, seed=1)
    split = split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"group_by": ["lesion"]}))
    report = leakage(split)
    assert {(finding["kind"], finding["boundary"]) for finding in report["findings"]} == {
        ("patient", "train/test"),
        ("patient", "folds"),
    }
    with pytest.raises(InputError, match=r"patient: \d+ across train/test: images ISIC_.*\n(.*\n)*.*split.group_by"):
        require_no_leaks(report["findings"])


def test_an_image_of_another_source_trains_in_every_fold_and_is_never_evaluated() -> None:
    images = random_cohort(60, seed=2)
    extra = cohort(list(range(1000, 1030)), [0, 1] * 15, [None] * 30)
    extra = extra.assign(image="EXTRA_" + extra["image"], role="extra_train", row=extra["row"] + len(images))
    split = split_images(pd.concat([images, extra], ignore_index=True), NO_PAIRS, SETTINGS)
    from_extra = split[split["role"] == "extra_train"]
    assert len(from_extra) == 30
    assert (from_extra["part"] == "train").all() and (from_extra["fold"] == -1).all()
    alone = split_images(images, NO_PAIRS, SETTINGS)
    pd.testing.assert_series_equal(split.loc[split["role"] == "study", "fold"], alone["fold"])


@pytest.mark.parametrize("link", ["patient", "lesion", "pair"])
def test_an_extra_image_linked_to_the_study_is_left_out_with_its_group_and_reason(link: str) -> None:
    images = random_cohort(60, seed=2)
    extra = cohort([1000, 1000, 1001], [0, 1, 1], [None] * 3)
    extra = extra.assign(image="EXTRA_" + extra["image"], role="extra_train", row=extra["row"] + len(images))
    pairs = NO_PAIRS
    if link == "pair":
        pairs = pd.DataFrame({"first": ["EXTRA_ISIC_00000"], "second": ["ISIC_00000"]}, dtype="str")
    else:
        extra.loc[0, link] = images.loc[0, link] = "the same"
    split = split_study(pd.concat([images, extra], ignore_index=True), pairs, SETTINGS)
    lost = ["EXTRA_ISIC_00000"] if link == "patient" else ["EXTRA_ISIC_00000", "EXTRA_ISIC_00001"]
    assert split.left_out["image"].tolist() == lost
    assert set(split.left_out["reason"]) == {"extra_train image linked to an image of the study"}
    assert not split.images["image"].isin(lost).any() and "EXTRA_ISIC_00002" in set(split.images["image"])
    assert leakage(split.images, pairs)["findings"] == []


def test_sequential_cuts_the_tables_in_their_order_and_is_found_to_leak() -> None:
    images = random_cohort(100, seed=4).iloc[:500]
    split = split_images(images, NO_PAIRS, SETTINGS.model_copy(update={"method": "sequential"}))
    assert split["fold"].tolist() == [0] * 80 + [1] * 80 + [2] * 80 + [3] * 80 + [4] * 80 + [-1] * 100
    assert ("patient", "train/test") in {(each["kind"], each["boundary"]) for each in leakage(split)["findings"]}


def predefined(tmp_path: Path, values: list[object], **changes: Any) -> Split:
    path = tmp_path / "folds.csv"
    names = [f"ISIC_{k:05d}" for k in range(len(values))]
    pd.DataFrame({"image_name": names, "shard": values}).to_csv(path, index=False)
    given = {"table": str(path), "image": "image_name", "column": "shard", "test": [0], "folds": [[1, 2], [3]]}
    return Split(method="predefined", folds=2, predefined=given | changes)


def test_a_predefined_split_is_read_from_a_column_and_other_values_are_left_out(tmp_path: Path) -> None:
    images = cohort(list(range(10)), [0, 1] * 5, [None] * 10)
    split = split_study(images, NO_PAIRS, predefined(tmp_path, [0, 0, 1, 1, 2, 2, 3, 3, -1, -1]))
    assert split.images["fold"].tolist() == [-1, -1, 0, 0, 0, 0, 1, 1]
    assert split.left_out["image"].tolist() == ["ISIC_00008", "ISIC_00009"]


def test_a_predefined_split_is_the_same_where_its_column_has_a_gap_or_its_images_are_numbers(tmp_path: Path) -> None:
    images = cohort(list(range(10)), [0, 1] * 5, [None] * 10).assign(image=[str(k) for k in range(10)])
    values = [0.0, 0, 1, 1, 2, 2, 3, 3, -1, -1, np.nan]
    settings = predefined(tmp_path, values)
    table = pd.read_csv(settings.predefined.table).assign(image_name=[*(float(k) for k in range(10)), np.nan])
    table.to_csv(settings.predefined.table, index=False)
    assert split_study(images, NO_PAIRS, settings).images["fold"].tolist() == [-1, -1, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        ([0] * 9, {}, r"1 images of the study have no shard:\n  - ISIC_00009\nAdd them"),
        ([0] * 10, {"column": "tfrecord"}, "no column tfrecord; the columns are image_name, shard"),
        ([0] * 10, {"folds": [[1], [2], [3]]}, "has the values of 3 folds, and split.folds is 2"),
        ([0] * 10, {"folds": [[1], [1]]}, "1 is in two of test and folds"),
        ([0] * 10, {"table": "nowhere.csv"}, "no such table. Correct its path"),
        ([0] * 10, {}, "fold 0, fold 1: no melanoma"),
    ],
)
def test_a_predefined_split_that_cannot_be_is_refused(
    tmp_path: Path, values: list[object], changes: dict[str, Any], message: str
) -> None:
    images = cohort(list(range(10)), [0, 1] * 5, [None] * 10)
    with pytest.raises(InputError, match=message):
        split_study(images, NO_PAIRS, predefined(tmp_path, values, **changes))


def test_a_predefined_split_needs_its_table() -> None:
    with pytest.raises(InputError, match=r"give the table and the meaning of its values"):
        split_study(random_cohort(9, 0), NO_PAIRS, SETTINGS.model_copy(update={"method": "predefined"}))


def test_unreadable_images_are_left_out_and_rows_are_those_of_the_store() -> None:
    catalog = pd.DataFrame({"image": ["a", "b", "c", "d"]}, dtype="str")
    quality = catalog.assign(readable=[True, False, True, True], width=640, height=480)
    usable = usable_images(catalog, quality)
    assert usable["image"].tolist() == ["a", "c", "d"] and usable["row"].tolist() == [0, 1, 2]


def test_tables_of_different_images_are_refused() -> None:
    catalog = pd.DataFrame({"image": ["a", "b"]}, dtype="str")
    with pytest.raises(InputError, match=r"differ in 2 images:\n  - b\n  - c\nPrepare"):
        usable_images(catalog, pd.DataFrame({"image": ["a", "c"], "readable": True}))


def test_pairs_are_the_first_two_columns_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("image_name_1,image_name_2,seen by\nISIC_1,ISIC_2,a reader\n")
    assert read_pairs(path).to_dict("list") == {"first": ["ISIC_1"], "second": ["ISIC_2"]}
    assert read_pairs(None).empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such table"),
        ("", "the table is empty"),
        ("a\nISIC_1\n", "has 1 column, expected two"),
        ("a,b\nISIC_1,ISIC_2\nISIC_3,\n", r"rows that lack one of the two image names:\n  - line 3\n"),
    ],
)
def test_a_list_of_duplicates_that_is_none_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "pairs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"{path}: {message}"):
        read_pairs(path)


def test_a_class_that_cannot_fill_the_folds_is_an_error_that_says_what_to_do() -> None:
    images = cohort(list(range(40)), [1, 1, 1] + [0] * 37, [None] * 40)
    with pytest.raises(InputError) as caught:
        split_images(images, NO_PAIRS, SETTINGS)
    message = str(caught.value)
    three_parts = r"(test|fold \d), fold \d, fold \d: no melanoma"
    assert re.search(rf"{three_parts}\. The study has 3, of 3 patient\(s\), in 3 group\(s\)", message)
    assert "Use fewer folds" in message


def test_twice_as_many_images_and_patients_are_at_most_twice_the_work() -> None:
    def work(count: int) -> int:
        random = np.random.default_rng(0)
        patients = random.integers(0, count // 8, count).tolist()
        images = cohort(patients, (random.random(count) < 0.02).astype(int).tolist(), [None] * count)
        return count_calls(lambda: split_images(images, NO_PAIRS, SETTINGS))

    work(8_000)  # the first split also imports and compiles
    assert work(16_000) <= 2 * work(8_000)


def official_table() -> pd.DataFrame:
    table = pd.read_csv(real_data("isic2020-tables/ISIC_2020_Training_GroundTruth_v2.csv"))
    sizes = pd.read_csv(real_data("isic2020-tables/train_folds_and_sizes.csv"))
    names = {"image_name": "image", "patient_id": "patient", "lesion_id": "lesion", "age_approx": "age"}
    names["anatom_site_general_challenge"] = "site"
    table = table.merge(sizes, on="image_name", how="left").rename(columns=names)
    return table.assign(row=np.arange(len(table)), role=pd.Series(["study"] * len(table), dtype="str"))


@pytest.mark.real_data
@pytest.mark.parametrize("stratify", [["target", "images_per_patient"], ["target", "images_per_patient", "size"]])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_official_table_is_split_into_even_fifths_and_no_listed_pair_ever_is(
    stratify: list[str], seed: int
) -> None:
    """Test and four folds with equal shares are five folds of the whole set."""
    pairs = read_pairs(real_data("isic2020-tables/ISIC_2020_Training_Duplicates.csv"))
    settings = SETTINGS.model_copy(update={"folds": 4, "stratify": stratify, "seed": seed})
    split = split_images(official_table(), pairs, settings)
    place = split.set_index("image")["fold"]
    assert len(pairs) == 425 and (place[pairs["first"]].to_numpy() == place[pairs["second"]].to_numpy()).all()
    for _, part in split.groupby("fold"):
        assert 115 <= part["target"].sum() <= 118
        assert abs(len(part) - 33126 / 5) < 20
        assert abs(part["patient"].nunique() - 2056 / 5) < 10
    assert leakage(split, pairs)["findings"] == []


@pytest.mark.real_data
def test_a_split_in_file_order_is_that_of_the_published_predictions() -> None:
    published = pd.read_csv(real_data("published-predictions/CNN_test_predictions.csv"))["image_name"]
    table = official_table().set_index("image")
    order = pd.read_csv(real_data("isic2020-tables/train.csv"))["image_name"]
    split = split_images(table.loc[order].reset_index(), NO_PAIRS, SETTINGS.model_copy(update={"method": "sequential"}))
    assert split.loc[split["part"] == "test", "image"].tolist() == published.tolist()


@pytest.mark.real_data
def test_the_shards_that_studies_s0_as_published_takes_as_its_split_leak_nothing() -> None:
    settings = yaml.safe_load((ROOT / "studies" / "s0_as_published.yaml").read_text())["split"]
    settings["predefined"]["table"] = str(real_data("isic2020-tables/train_folds_and_sizes.csv"))
    split = split_study(official_table(), NO_PAIRS, Split.model_validate(settings))
    assert len(split.left_out) == 434
    crossing = {each["kind"]: each["count"] for each in leakage(split.images)["findings"]}
    assert crossing == {}
