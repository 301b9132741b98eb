"""The split: grouped, stratified, reproducible, and guarded by a gate of its own."""

import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from melanoma.errors import InputError
from melanoma.leakage import check, require_no_leaks
from melanoma.split import assign, group_images, read_pairs, split_images, usable_images
from real_data import real_data

SETTINGS = {
    "test_fraction": 0.2,
    "folds": 5,
    "seed": 1,
    "group_by": ["patient", "lesion"],
    "allow_leaks": False,
}
NO_PAIRS = pd.DataFrame({"first": [], "second": []}, dtype="str")


def cohort(patients: list[int], targets: list[int], lesions: list[int | None]) -> pd.DataFrame:
    """One image per entry; entries of equal patient or lesion belong together."""
    count = len(patients)
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "image": pd.Series([f"ISIC_{k:05d}" for k in range(count)], dtype="str"),
            "patient": pd.Series([f"IP_{k}" for k in patients], dtype="str"),
            "lesion": pd.Series([None if k is None else f"IL_{k}" for k in lesions], dtype="str"),
            "target": np.array(targets, np.int8),
        }
    )


def random_cohort(patients: int, seed: int, prevalence: float = 0.1) -> pd.DataFrame:
    """Patients of 1 to some dozens of images, few of them with many, as in ISIC 2020."""
    random = np.random.default_rng(seed)
    sizes = np.minimum(random.geometric(0.15, patients), 60)
    patient = np.repeat(np.arange(patients), sizes)
    target = (random.random(len(patient)) < prevalence).astype(int)
    return cohort(patient.tolist(), target.tolist(), [None] * len(patient))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images with patients, some lesions that cross patients, and pairs, some of them of unknown images."""
    count = draw(st.integers(20, 120))
    numbers = lambda most: st.lists(st.integers(0, most), min_size=count, max_size=count)  # noqa: E731
    lesions = draw(st.lists(st.none() | st.integers(0, count), min_size=count, max_size=count))
    images = cohort(draw(numbers(count)), draw(numbers(1)), lesions)
    names = st.integers(0, count + 5).map("ISIC_{:05d}".format)
    pairs = draw(st.lists(st.tuples(names, names), max_size=5))
    return images, pd.DataFrame(pairs, columns=["first", "second"], dtype="str")


def gate(split: pd.DataFrame, pairs: pd.DataFrame = NO_PAIRS) -> dict[str, Any]:
    test = split["part"] == "test"
    return check(split[~test], split[test].drop(columns="target"), split.loc[test, ["image", "target"]], pairs)


def split_or_skip(images: pd.DataFrame, pairs: pd.DataFrame, changes: dict[str, Any]) -> pd.DataFrame:
    try:
        return split_images(images, pairs, SETTINGS | changes)
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
    assert gate(split, pairs)["findings"] == []


@given(given_=cohorts(), shuffle=st.integers(0, 99))
def test_the_order_of_the_rows_has_no_effect(given_: tuple[pd.DataFrame, pd.DataFrame], shuffle: int) -> None:
    images, pairs = given_
    split = split_or_skip(images, pairs, {"folds": 2})
    shuffled = images.sample(frac=1, random_state=shuffle)
    again = split_images(shuffled, pairs.iloc[::-1], SETTINGS | {"folds": 2})
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
    split = split_images(images, NO_PAIRS, SETTINGS | {"test_fraction": test_fraction, "folds": folds})
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
        for s in (split_images(images, NO_PAIRS, SETTINGS | {"seed": seed}) for seed in (1, 1, 2, 3))
    ]
    assert tests[0] == tests[1] and len(set(tests)) == 3
    largest = images["patient"].value_counts().index[:60]
    assert len(set(largest) & set.union(*map(set, tests))) > 20, "the largest patients are drawn, too"


@given(
    rare=st.lists(st.integers(1, 9), min_size=6, max_size=12),
    common=st.lists(st.integers(1, 60), min_size=6, max_size=12),
)
def test_equal_parts_all_get_a_class_that_has_a_group_for_each(rare: list[int], common: list[int]) -> None:
    counts = np.array([[0, size] for size in rare] + [[size, 0] for size in common])
    parts = assign(counts, [1 / 6] * 6, np.random.default_rng(0))
    for part in range(6):
        assert (counts[parts == part].sum(axis=0) > 0).all()


def test_grouping_by_lesion_alone_is_caught_by_the_gate() -> None:
    images = random_cohort(60, seed=1)
    split = split_images(images, NO_PAIRS, SETTINGS | {"group_by": ["lesion"]})
    report = gate(split)
    assert {(finding["kind"], finding["boundary"]) for finding in report["findings"]} == {
        ("patient", "train/test"),
        ("patient", "folds"),
    }
    with pytest.raises(InputError, match=r"patient: \d+ across train/test: images ISIC_.*\n(.*\n)*.*split.group_by"):
        require_no_leaks(report)


def clean_split() -> pd.DataFrame:
    images = cohort(list(range(12)), [0, 1] * 6, [None] * 12)
    return images.assign(part=["test"] * 4 + ["train"] * 8, fold=np.array([-1] * 4 + [0] * 4 + [1] * 4, np.int8))


def test_the_gate_passes_a_clean_split_and_counts_what_it_saw() -> None:
    report = gate(clean_split())
    assert report["findings"] == []
    assert report["checked"] == {
        "fold 0": {"images": 4, "melanomas": 2, "patients": 4},
        "fold 1": {"images": 4, "melanomas": 2, "patients": 4},
        "test": {"images": 4, "melanomas": 2, "patients": 4},
        "duplicate_pairs": 0,
    }


@pytest.mark.parametrize(("one", "other", "boundary"), [(0, 5, "train/test"), (5, 9, "folds")])
@pytest.mark.parametrize("kind", ["patient", "lesion", "duplicate pair"])
def test_the_gate_finds_one_leak_and_names_its_images(one: int, other: int, boundary: str, kind: str) -> None:
    split, pairs = clean_split(), NO_PAIRS
    names = split.loc[[one, other], "image"].tolist()
    if kind == "duplicate pair":
        pairs = pd.DataFrame({"first": names[:1], "second": names[1:]}, dtype="str")
    else:
        split.loc[[one, other], kind] = "the same"
    assert gate(split, pairs)["findings"] == [{"kind": kind, "boundary": boundary, "count": 1, "images": names}]


def test_the_gate_finds_an_image_that_is_there_twice() -> None:
    split = clean_split()
    twice = pd.concat([split, split.iloc[[5]]])
    assert gate(twice)["findings"] == [
        {"kind": "image", "boundary": "several rows", "count": 1, "images": ["ISIC_00005"]}
    ]
    across = pd.concat([split, split.iloc[[5]].assign(part="test", fold=-1)])
    kinds = {(finding["kind"], finding["boundary"]) for finding in gate(across)["findings"]}
    assert ("image", "train/test") in kinds


def test_unreadable_images_are_left_out_and_rows_are_those_of_the_store() -> None:
    catalog = pd.DataFrame({"image": ["a", "b", "c", "d"]}, dtype="str")
    quality = catalog.assign(readable=[True, False, True, True])
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
        (None, "no such list of duplicates"),
        ("", "not a CSV table"),
        ("a;b\nISIC_1;ISIC_2\n", "has 1 column, expected two"),
        ("a,b\nISIC_1,ISIC_2\nISIC_3,\n", r"lines \[3\] lack one"),
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
    assert "fold 2, fold 3, fold 4: no melanoma. There are 3 of 3 patients, in 3 groups" in message.replace(
        "test, ", ""
    )
    assert "Use fewer folds" in message


def test_400_000_images_of_50_000_patients_take_seconds() -> None:
    random = np.random.default_rng(0)
    patients = random.integers(0, 50_000, 400_000).tolist()
    images = cohort(patients, (random.random(400_000) < 0.02).astype(int).tolist(), [None] * 400_000)
    start = time.perf_counter()
    split_images(images, NO_PAIRS, SETTINGS)
    assert time.perf_counter() - start < 60


@pytest.mark.real_data
def test_the_official_table_is_split_evenly_with_no_leak_in_seconds() -> None:
    table = pd.read_csv(real_data("isic2020-tables/train.csv"))
    table = table.rename(columns={"image_name": "image", "patient_id": "patient"}).assign(
        lesion=pd.Series([None] * len(table), dtype="str"), row=np.arange(len(table))
    )
    pairs = read_pairs(real_data("isic2020-tables/ISIC_2020_Training_Duplicates.csv"))
    start = time.perf_counter()
    split = split_images(table, pairs, SETTINGS | {"folds": 4})
    report = gate(split, pairs)
    assert time.perf_counter() - start < 15
    assert report["findings"] == [] and len(pairs) == 425
    for part in ("test", "fold 0", "fold 1", "fold 2", "fold 3"):
        assert 112 <= report["checked"][part]["melanomas"] <= 121
        assert abs(report["checked"][part]["images"] - 33126 / 5) < 20
