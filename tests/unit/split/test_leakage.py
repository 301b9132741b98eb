"""The check finds every kind of planted leak with its images, and nothing in a clean study."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from effort import drawn
from melanoma.common.errors import InputError
from melanoma.split.leakage import Tables, check, check_test, missing_inputs, require_no_leaks
from simulated_split import EXTRA, FOLD_0, FOLD_1, OTHER_FOLD_0, OTHER_TEST, TEST, Study, members, study

Leak = tuple[str, str, list[str]]


def look(study: Study) -> dict[str, Any]:
    """Return the findings and counts of the check, and then of the audit with the labels of the test."""
    before = check(Tables(**{name: getattr(study, name) for name in Tables._fields if name != "external"}))
    findings, counts = check_test(study.test, study.labels, before["unit"])
    return {**before, "findings": before["findings"] + findings, "checked": before["checked"] | {"test": counts}}


def change(table: pd.DataFrame, image: str, **values: Any) -> pd.DataFrame:
    return table.assign(**{key: table[key].mask(table["image"] == image, value) for key, value in values.items()})


def value(table: pd.DataFrame, image: str, column: str) -> Any:
    return table.set_index("image")[column][image]


def shared(column: str) -> Callable[[Study, str, str], Study]:
    def plant(tables: Study, one: str, other: str) -> Study:
        same = {column: "SAME"}
        parts = {name: getattr(tables, name) for name in ("train", "test")}
        return tables._replace(
            **{name: change(change(part, one, **same), other, **same) for name, part in parts.items()}
        )

    return plant


def linked_by(name: str) -> Callable[[Study, str, str], Study]:
    def plant(tables: Study, one: str, other: str) -> Study:
        pair = pd.DataFrame({"first": [one], "second": [other]}, dtype="str")
        return tables._replace(**{name: pd.concat([getattr(tables, name), pair])})

    return plant


def same_file(tables: Study, one: str, other: str) -> Study:
    return tables._replace(files=change(change(tables.files, one, sha256="X"), other, sha256="X"))


def same_row(tables: Study, one: str, other: str) -> Study:
    return tables._replace(
        train=change(tables.train, other, row=value(pd.concat([tables.test, tables.train]), one, "row"))
    )


LINKS = {
    "patient": shared("patient"),
    "lesion": shared("lesion"),
    "duplicate pair": linked_by("pairs"),
    "near-duplicate pair": linked_by("near"),
    "identical file": same_file,
    "store row": same_row,
}


@pytest.mark.many_cases
def test_no_clean_study_is_accused() -> None:
    accused = {seed: look(study(40 + seed, seed))["findings"] for seed in range(drawn(40, 200))}
    assert {seed: findings for seed, findings in accused.items() if findings} == {}


@pytest.mark.parametrize(
    ("one", "other", "boundary"),
    [(TEST, FOLD_0, "train/test"), (FOLD_0, FOLD_1, "folds"), (TEST, EXTRA, "train/test"), (FOLD_0, EXTRA, "folds")],
    ids=["test", "folds", "extra_train and test", "extra_train and a fold"],
)
@pytest.mark.parametrize("kind", LINKS)
def test_what_links_two_sides_is_found_and_its_images_named(kind: str, one: int, other: int, boundary: str) -> None:
    tables = study()
    names = members(tables)
    planted = LINKS[kind](tables, names[one], names[other])
    findings = [each for each in look(planted)["findings"] if each["boundary"] == boundary]
    for finding in findings:
        finding.pop("pairs", None)
    assert findings == [{"kind": kind, "boundary": boundary, "count": 1, "images": sorted([names[one], names[other]])}]


@pytest.mark.parametrize("kind", sorted(set(LINKS) - {"store row"}))
def test_what_is_linked_on_one_side_is_no_leak(kind: str) -> None:
    tables = study()
    names = members(tables)
    for one, other in ((TEST, OTHER_TEST), (FOLD_0, OTHER_FOLD_0)):
        assert look(LINKS[kind](tables, names[one], names[other]))["findings"] == []


def oversampled_before_the_split(tables: Study, names: list[str]) -> tuple[Study, Leak]:
    copies = tables.train[tables.train["image"] == names[FOLD_0]]
    return tables._replace(train=pd.concat([tables.train, copies])), ("image", "several rows", [names[FOLD_0]])


def oversampled_across_folds(tables: Study, names: list[str]) -> tuple[Study, Leak]:
    copy = tables.train[tables.train["image"] == names[FOLD_0]].assign(fold=np.int8(1))
    return tables._replace(train=pd.concat([tables.train, copy])), ("image", "folds", [names[FOLD_0]])


def copy_under_another_name(tables: Study, names: list[str]) -> tuple[Study, Leak]:
    copy = tables.train[tables.train["image"] == names[FOLD_0]].assign(image="COPY", patient="IP_COPY")
    return tables._replace(train=pd.concat([tables.train, copy])), (
        "store row",
        "several rows",
        ["COPY", names[FOLD_0]],
    )


def test_row_in_validation(tables: Study, names: list[str]) -> tuple[Study, Leak]:
    row = tables.test[tables.test["image"] == names[TEST]].assign(fold=np.int8(0), target=np.int8(0))
    return tables._replace(train=pd.concat([tables.train, row])), ("image", "train/test", [names[TEST]])


test_row_in_validation.__test__ = False


def test_image_twice(tables: Study, names: list[str]) -> tuple[Study, Leak]:
    twice = pd.concat([tables.test, tables.test[tables.test["image"] == names[TEST]]])
    return tables._replace(test=twice), ("image", "several rows", [names[TEST]])


test_image_twice.__test__ = False


def with_test_column(name: str, kind: str, make: Callable[[pd.Series], Any]) -> Callable:
    def plant(tables: Study, _: list[str]) -> tuple[Study, Leak]:
        target = tables.test["image"].map(tables.labels.set_index("image")["target"])
        planted = tables._replace(test=tables.test.assign(**{name: make(target)}))
        return planted, (kind, "features of test", sorted(tables.test["image"]))

    return plant


def site_recoded_in_train(tables: Study, _: list[str]) -> tuple[Study, Leak]:
    site = tables.train["target"].map({1: "torso", 0: "head/neck"})
    kind = "column site that tells the label"
    return tables._replace(train=tables.train.assign(site=site)), (
        kind,
        "features of train",
        sorted(tables.train["image"]),
    )


def without_class(part: str, target: int, kind: str) -> Callable:
    def plant(tables: Study, _: list[str]) -> tuple[Study, Leak]:
        if part == "test":
            labels = tables.labels.assign(target=1 - target)
            return tables._replace(labels=labels), (kind, part, sorted(tables.test["image"]))
        fold = int(part[-1])
        train = tables.train[(tables.train["fold"] != fold) | (tables.train["target"] != target)]
        return tables._replace(train=train), (kind, part, sorted(train.loc[train["fold"] == fold, "image"]))

    return plant


def a_fold_that_is_not_there(tables: Study, _: list[str]) -> tuple[Study, Leak]:
    return tables._replace(train=tables.train[tables.train["fold"] != 2]), ("no melanoma", "fold 2", [])


noise = np.random.default_rng(0)
TELLS = "column {} that tells the label"
OTHERS = {
    "over-sampled before the split": oversampled_before_the_split,
    "over-sampled copies in two folds": oversampled_across_folds,
    "a copy under another name": copy_under_another_name,
    "a test row among the validation rows": test_row_in_validation,
    "a test image twice": test_image_twice,
    "the target among test columns": with_test_column("target", "label column target", lambda t: t),
    "the diagnosis among test columns": with_test_column("diagnosis", "label column diagnosis", lambda t: "unknown"),
    "benign_malignant among test columns": with_test_column(
        "benign_malignant", "label column benign_malignant", lambda t: t.map({0: "benign", 1: "malignant"})
    ),
    "the target under another name": with_test_column("y", TELLS.format("y"), lambda t: t),
    "the target inverted": with_test_column("extra", TELLS.format("extra"), lambda t: 1.0 - t),
    "the diagnosis under another name": with_test_column(
        "kind", TELLS.format("kind"), lambda t: np.where(t == 1, "MEL", np.where(np.arange(len(t)) % 3, "NV", "BKL"))
    ),
    "a score that separates the classes": with_test_column(
        "score", TELLS.format("score"), lambda t: t + noise.uniform(0, 0.9, len(t))
    ),
    "a site recoded from the label": site_recoded_in_train,
    "test without melanomas": without_class("test", 1, "no melanoma"),
    "test without benign images": without_class("test", 0, "no benign image"),
    "a fold without melanomas": without_class("fold 1", 1, "no melanoma"),
    "a fold without benign images": without_class("fold 0", 0, "no benign image"),
    "a fold that is not there": a_fold_that_is_not_there,
}


@pytest.mark.parametrize("leak", OTHERS)
def test_a_planted_leak_is_found_and_its_images_named(leak: str) -> None:
    tables = study()
    planted, (kind, boundary, images) = OTHERS[leak](tables, members(tables))
    (finding,) = [each for each in look(planted)["findings"] if (each["kind"], each["boundary"]) == (kind, boundary)]
    assert finding["images"] == images


def test_the_gate_counts_and_accuses_without_the_labels_of_the_test() -> None:
    assert "labels" not in Tables._fields
    report = check(Tables(**{name: getattr(study(), name) for name in Tables._fields if name != "external"}))
    assert set(report["checked"]["test"]) == {"images", "patients"}


def test_a_column_of_few_rows_or_of_identifiers_is_not_accused() -> None:
    tables = study()
    few = tables.test["image"].map(tables.labels.set_index("image")["target"]).where(tables.test.index < 8)
    names = pd.Series([f"file-{k}" for k in tables.test.index])
    assert look(tables._replace(test=tables.test.assign(seen=few, file=names)))["findings"] == []


def test_the_message_names_every_finding_its_images_and_the_remedy() -> None:
    tables = study()
    names = members(tables)
    planted = same_file(shared("patient")(tables, names[TEST], names[FOLD_0]), names[FOLD_0], names[FOLD_1])
    with pytest.raises(InputError) as caught:
        require_no_leaks(look(planted)["findings"])
    text = str(caught.value)
    assert f"patient: 1 across train/test: images {', '.join(sorted([names[TEST], names[FOLD_0]]))}" in text
    assert f"identical file: 1 across folds: images {', '.join(sorted([names[FOLD_0], names[FOLD_1]]))}" in text
    assert "split.allow_leaks: true" in text


def test_the_message_names_near_duplicates_pair_by_pair_with_their_figures() -> None:
    tables = study()
    names = members(tables)
    pair = {"first": [names[TEST]], "second": [names[FOLD_0]], "correlation": [0.91], "chance_pairs": [1e-5]}
    planted = tables._replace(near=pd.concat([tables.near, pd.DataFrame(pair)]))
    with pytest.raises(InputError) as caught:
        require_no_leaks(look(planted)["findings"])
    named = f"{names[TEST]} (test) and {names[FOLD_0]} (fold 0), correlation 0.91 (1e-05 such pairs expected by chance)"
    assert f"near-duplicate pair: 1 across train/test: {named}" in str(caught.value)
    assert "split.near_duplicates.different" in str(caught.value)


def test_a_clean_study_raises_nothing_and_is_counted() -> None:
    tables = study()
    report = look(tables)
    require_no_leaks(report["findings"])
    checked = report["checked"]
    assert checked["test"]["images"] == len(tables.test)
    assert checked["test"]["melanomas"] == tables.labels["target"].sum()
    folds = [checked[f"fold {fold}"]["images"] for fold in range(3)]
    assert sum(folds) + checked["extra_train"]["images"] == len(tables.train)
    assert checked["duplicate_pairs"] == 3 and checked["near_duplicate_pairs"] == 3


def test_near_duplicates_are_counted_by_group_with_the_size_of_the_largest() -> None:
    tables = study()
    first, second = zip(("a", "b"), ("b", "c"), ("d", "e"), strict=True)
    for pairs, groups, largest in ((pd.DataFrame({"first": first, "second": second}), 2, 3), (tables.near[:0], 0, 0)):
        checked = look(tables._replace(near=pairs))["checked"]
        assert (checked["near_duplicate_groups"], checked["largest_near_duplicate_group"]) == (groups, largest)


def test_an_input_that_is_missing_in_the_whole_test_is_a_doubt_and_no_leak():
    tables = study()
    assert list(missing_inputs(tables.train, tables.test)) == []
    (doubt,) = missing_inputs(tables.train, tables.test.assign(site=None))
    count = f"{len(tables.test):,}"
    assert f"The input site is missing for {count} of {count} test images" in doubt
    (doubt,) = missing_inputs(tables.train, tables.test.assign(width=0))
    assert "The input width" in doubt
    assert list(missing_inputs(tables.train.assign(site=None), tables.test.assign(site=None))) == []


def test_what_is_counted_has_its_true_name():
    tables = study()
    tables = tables._replace(**{name: getattr(tables, name).assign(unit="lesion") for name in ("train", "test")})
    found = look(tables)
    counted = [counts for counts in found["checked"].values() if isinstance(counts, dict)]
    assert all({"lesions"} <= set(counts) and "patients" not in counts for counts in counted)
    (notice,) = found["notices"]
    images = f"{len(tables.train) + len(tables.test):,}"
    assert f"Patients are unknown for {images} of {images} images; the lesion stands in for {images}." in notice


def test_a_lesion_that_stands_in_is_found_as_a_lesion():
    tables = study()
    train, test = (table.assign(unit="lesion") for table in (tables.train, tables.test))
    train.loc[train.index[0], ["patient", "lesion"]] = ["s:l", "l"]
    test.loc[test.index[0], ["patient", "lesion"]] = ["s:l", "l"]
    kinds = {each["kind"] for each in look(tables._replace(train=train, test=test))["findings"]}
    assert "lesion" in kinds and "patient" not in kinds
