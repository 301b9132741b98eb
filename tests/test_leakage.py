"""The leakage gate: every kind of planted leak is found and its images named, and no clean study is accused."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.encoder import MetadataEncoder
from melanoma.errors import InputError
from melanoma.leakage import (
    Tables,
    check,
    check_encoder,
    check_epoch,
    check_predictions,
    check_test,
    require_no_leaks,
)
from melanoma.sampling import epoch_order
from melanoma.split import TEST_COLUMNS, TRAIN_COLUMNS, split_images

SETTINGS = {
    "method": "grouped",
    "test_fraction": 0.25,
    "folds": 3,
    "group_by": ["patient", "lesion"],
    "stratify": ["target", "images_per_patient"],
    "predefined": None,
    "seed": 1,
}
NO_PAIRS = pd.DataFrame({"first": [], "second": []}, dtype="str")
TEST, OTHER_TEST, FOLD_0, OTHER_FOLD_0, FOLD_1, EXTRA = range(6)
Leak = tuple[str, str, list[str]]


class Study(NamedTuple):
    """The tables that the gate looks at, and the labels of the test, which only the audit sees."""

    train: pd.DataFrame
    test: pd.DataFrame
    labels: pd.DataFrame
    files: pd.DataFrame
    pairs: pd.DataFrame
    near: pd.DataFrame
    folds: int


def look(study: Study) -> dict[str, Any]:
    """Return what the gate, and then the audit with the labels of the test, find and count."""
    gate = check(Tables(**{name: getattr(study, name) for name in Tables._fields}))
    audit = check_test(study.test, study.labels)
    return {
        "findings": gate["findings"] + audit["findings"],
        "checked": gate["checked"] | {"test": audit["checked"]},
    }


def catalog(patients: int, seed: int) -> pd.DataFrame:
    """Simulate a study: patients of some images, lesions photographed twice, values missing, one image in six extra."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), np.minimum(random.geometric(0.3, patients), 20))
    count = len(patient)
    target = (random.random(count) < random.uniform(0.1, 0.4)).astype(np.int8)
    lesion = np.where(random.random(count) < 0.5, patient * 100 + random.integers(0, 3, count), -1)
    choose = lambda values: pd.Series(random.choice(values, count), dtype="str")  # noqa: E731
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "image": pd.Series([f"ISIC_{k:05d}" for k in range(count)], dtype="str"),
            "patient": pd.Series([f"IP_{k}" for k in patient], dtype="str"),
            "lesion": pd.Series([f"IL_{k}" if k >= 0 else None for k in lesion], dtype="str"),
            "sex": choose(["male", "female", None]),
            "age": np.where(random.random(count) < 0.1, np.nan, random.integers(4, 18, count) * 5.0),
            "site": choose(["torso", "head/neck", "palms/soles", None]),
            "diagnosis": pd.Series(np.where(target, "melanoma", "nevus"), dtype="str"),
            "source": "simulated",
            "target": target,
            "width": random.choice([640, 6000], count),
            "height": 480,
            "role": pd.Series(np.where(patient % 6 == 5, "extra_train", "study"), dtype="str"),
        }
    )


def pairs_of(images: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    chosen = np.random.default_rng(seed).choice(images["image"], (count, 2))
    return pd.DataFrame(chosen, columns=["first", "second"], dtype="str")


def study(patients: int = 60, seed: int = 0) -> Study:
    """Split a simulated study with a few duplicates, near-duplicates and identical files."""
    images = catalog(patients, seed)
    pairs, near, same = (pairs_of(images, 3, seed + each) for each in (1, 2, 3))
    split = split_images(images, pd.concat([pairs, near, same]), SETTINGS).images
    is_test = split["part"] == "test"
    digest = images["image"].replace(dict(same.itertuples(index=False, name=None)))
    return Study(
        train=split.loc[~is_test, TRAIN_COLUMNS].reset_index(drop=True),
        test=split.loc[is_test, TEST_COLUMNS].reset_index(drop=True),
        labels=split.loc[is_test, ["image", "target"]].reset_index(drop=True),
        files=pd.DataFrame({"image": images["image"], "sha256": digest}),
        pairs=pairs,
        near=near,
        folds=SETTINGS["folds"],
    )


def members(tables: Study) -> list[str]:
    """Name two test images, two of fold 0, one of fold 1 and an extra one: all of patients with one image."""
    alone = lambda table: table[~table["patient"].duplicated(keep=False) & table["lesion"].isna()]  # noqa: E731
    train, linked = alone(tables.train), pd.concat([tables.pairs, tables.near]).stack().tolist()
    shared = tables.files.loc[tables.files["sha256"].duplicated(keep=False), "image"].tolist()
    chosen = []
    for table, count in (
        (alone(tables.test), 2),
        *((train[train["fold"] == k], n) for k, n in ((0, 2), (1, 1), (-1, 1))),
    ):
        names = table.loc[~table["image"].isin([*linked, *shared]), "image"]
        chosen += names.iloc[:count].tolist()
    return chosen


def change(table: pd.DataFrame, image: str, **values: Any) -> pd.DataFrame:
    return table.assign(**{key: table[key].mask(table["image"] == image, value) for key, value in values.items()})


def value(table: pd.DataFrame, image: str, column: str) -> Any:
    return table.set_index("image")[column][image]


def shared_patient(tables: Study, one: str, other: str) -> Study:
    return tables._replace(
        **{
            name: change(change(getattr(tables, name), one, patient="IP_X"), other, patient="IP_X")
            for name in ("train", "test")
        }
    )


def shared_lesion(tables: Study, one: str, other: str) -> Study:
    return tables._replace(
        **{
            name: change(change(getattr(tables, name), one, lesion="IL_X"), other, lesion="IL_X")
            for name in ("train", "test")
        }
    )


def linked_by(name: str) -> Callable[[Study, str, str], Tables]:
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
    "patient": shared_patient,
    "lesion": shared_lesion,
    "duplicate pair": linked_by("pairs"),
    "near-duplicate pair": linked_by("near"),
    "identical file": same_file,
    "store row": same_row,
}


def test_none_of_200_clean_studies_is_accused() -> None:
    accused = {seed: look(study(40 + seed, seed))["findings"] for seed in range(200)}
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
    report = check(Tables(**{name: getattr(study(), name) for name in Tables._fields}))
    assert set(report["checked"]["test"]) == {"images", "patients"}


def test_a_column_of_few_rows_or_of_identifiers_is_not_accused() -> None:
    tables = study()
    few = tables.test["image"].map(tables.labels.set_index("image")["target"]).where(tables.test.index < 8)
    names = pd.Series([f"file-{k}" for k in tables.test.index])
    assert look(tables._replace(test=tables.test.assign(seen=few, file=names)))["findings"] == []


def fold_rows(tables: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out = tables.train["fold"] == 0
    return tables.train[~held_out].reset_index(drop=True), tables.train[held_out]


def test_an_encoder_fitted_on_its_training_rows_is_not_accused() -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    encoder = MetadataEncoder.fit(seen).to_dict()
    assert check_encoder(encoder, seen, {"validation": held_out, "test": tables.test}, "cnn") == []


@pytest.mark.parametrize("part", ["validation", "test", "both"])
def test_an_encoder_fitted_on_more_is_found_and_the_other_rows_named(part: str) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    others = {"validation": held_out, "test": tables.test, "both": pd.concat([held_out, tables.test])}
    encoder = MetadataEncoder.fit(pd.concat([seen, others[part]])).to_dict()
    (finding,) = check_encoder(encoder, seen, others, "cnn:fold-0")
    assert finding["kind"] == "encoder fitted on more than train" and finding["boundary"] == "cnn:fold-0"
    assert finding["images"] == sorted(others[part]["image"])


def test_an_encoder_with_a_level_that_only_test_has_is_found() -> None:
    tables = study()
    seen, _ = fold_rows(tables)
    test = tables.test.assign(site=tables.test["site"].where(tables.test.index > 0, "oral/genital"))
    encoder = MetadataEncoder.fit(seen).to_dict()
    encoder["sites"] = sorted([*encoder["sites"], "oral/genital"])
    (finding,) = check_encoder(encoder, seen, {"test": test}, "cnn")
    assert finding["kind"] == "encoder not fitted on train" and set(finding["images"]) == set(test["image"])


@given(seed=st.integers(0, 99), epoch=st.integers(0, 9), ratio=st.sampled_from([0.5, 1.0]))
def test_an_epoch_drawn_after_the_split_shows_nothing_held_out(seed: int, epoch: int, ratio: float) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    order = epoch_order(seen["target"].to_numpy(), {"name": "oversample", "ratio": ratio}, seed, epoch)
    assert check_epoch(order, seen, pd.concat([held_out, tables.test]), "cnn") == []


@pytest.mark.parametrize("renamed", [False, True])
def test_a_copy_in_an_epoch_of_a_held_out_image_is_found(renamed: bool) -> None:
    tables = study()
    seen, held_out = fold_rows(tables)
    copy = held_out.iloc[[0]].assign(image="COPY") if renamed else held_out.iloc[[0]]
    oversampled = pd.concat([seen, copy], ignore_index=True)
    (finding,) = check_epoch(np.arange(len(oversampled)), oversampled, held_out, "cnn")
    assert finding["kind"] == "over-sampled copy" and finding["images"] == copy["image"].tolist()
    assert check_epoch(np.arange(len(seen)), oversampled, held_out, "cnn") == [], "it was not drawn"


def predictions_of(tables: Study) -> pd.DataFrame:
    parts = [tables.train[tables.train["fold"] == 0].assign(part="train"), tables.test.assign(part="test", fold=-1)]
    rows = pd.concat(parts)[["image", "patient", "part", "fold"]]
    return rows.assign(logit=0.0, probability=0.5).reset_index(drop=True)


def audit(predictions: pd.DataFrame, tables: Study) -> list[dict[str, Any]]:
    return check_predictions(predictions, tables.train, tables.test, tables.labels, "cnn")


def test_predictions_out_of_fold_and_of_the_test_are_not_accused_however_good_they_are() -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(pd.concat([tables.train, tables.labels]).set_index("image")["target"])
    told = target * 0.8 + 0.1
    assert audit(predictions.assign(probability=told, patient_distance=told), tables) == []


def test_labels_of_train_beside_out_of_fold_predictions_are_no_leak() -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(tables.train.set_index("image")["target"]).astype("Int8")
    assert audit(predictions.assign(target=target), tables) == []


@pytest.mark.parametrize(("column", "kind"), [("target", "label column target"), ("y", TELLS.format("y"))])
def test_labels_beside_predictions_are_found(column: str, kind: str) -> None:
    tables = study()
    predictions = predictions_of(tables)
    target = predictions["image"].map(pd.concat([tables.train, tables.labels]).set_index("image")["target"])
    (finding,) = audit(predictions.assign(**{column: target}), tables)
    assert finding["kind"] == kind and finding["images"] == sorted(predictions["image"])


def test_a_prediction_by_a_model_that_trained_on_the_image_is_found() -> None:
    tables = study()
    predictions, names = predictions_of(tables), members(tables)
    row = predictions.iloc[[0]].assign(image=names[FOLD_1])
    (finding,) = audit(pd.concat([predictions, row]), tables)
    assert finding["kind"] == "prediction by a model that trained on the image"
    assert finding["images"] == [names[FOLD_1]]


def test_a_test_row_among_the_out_of_fold_predictions_is_found() -> None:
    tables = study()
    predictions, names = predictions_of(tables), members(tables)
    row = predictions.iloc[[0]].assign(image=names[TEST])
    (finding,) = audit(pd.concat([predictions, row]), tables)
    assert finding["kind"] == "test row among validation rows" and finding["images"] == [names[TEST]]


def test_the_message_names_every_finding_its_images_and_the_remedy() -> None:
    tables = study()
    names = members(tables)
    planted = same_file(shared_patient(tables, names[TEST], names[FOLD_0]), names[FOLD_0], names[FOLD_1])
    with pytest.raises(InputError) as caught:
        require_no_leaks(look(planted)["findings"])
    text = str(caught.value)
    assert f"patient: 1 across train/test: images {', '.join(sorted([names[TEST], names[FOLD_0]]))}" in text
    assert f"identical file: 1 across folds: images {', '.join(sorted([names[FOLD_0], names[FOLD_1]]))}" in text
    assert "split.allow_leaks: true" in text


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
