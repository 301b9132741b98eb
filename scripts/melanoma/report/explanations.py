"""Explanations on the page: maps of heat over the test images, and the importance of the columns of metadata."""

from pathlib import Path
from typing import TypedDict

import pandas as pd

from melanoma.report.gallery import describe, webp
from melanoma.report.tables import Cell, Column, Table

SIDE = 160  # pixels of a picture


class Explained(TypedDict):
    """A test image with its maps: the numbers of the pictures, by what they show; empty if they may not be shown."""

    name: str
    kind: str
    melanoma: bool
    probability: float
    about: str
    pictures: dict[str, int]


class Explanations(TypedDict):
    """The explanations of the selected model."""

    cases: list[Explained]
    methods: dict[str, str]  # by network
    importance: Table | None


def explanations(path: Path, test: pd.DataFrame, thumbnails: list[str], identifiers: bool) -> Explanations:
    """Return the explanations of a file of the rule `explain`, and add their pictures to `thumbnails`.

    `test` has image, metadata, and shown: whether an image may be shown (see `gallery.may_show`).
    """
    from melanoma.explain.explanation_file import read_explanations
    from melanoma.explain.overlay import overlay

    found = read_explanations(path)
    known = {row.image: row for row in test.itertuples()}
    cases: list[Explained] = []
    for number, (case, image) in enumerate(zip(found.about["cases"], found.images, strict=True)):
        row = known.get(case["image"])
        pictures = {}
        if row is not None and row.shown:
            views = {"image": image} | {name: overlay(image, maps[number]) for name, maps in found.maps.items()}
            for name, pixels in views.items():
                pictures[name] = len(thumbnails)
                thumbnails.append(webp(pixels, SIDE))
        cases.append(
            {
                "name": case["image"] if identifiers else f"case {number + 1}",
                "kind": case["kind"],
                "melanoma": case["target"] == 1,
                "probability": case["probability"],
                "about": "" if row is None else describe(row),
                "pictures": pictures,
            }
        )
    columns = found.about["importance"].items()
    rows: list[list[Cell]] = [
        [model, each["column"], each["mean"], each["deviation"]] for model, listed in columns for each in listed
    ]
    return {"cases": cases, "methods": found.about["methods"], "importance": importance(rows)}


def importance(rows: list[list[Cell]]) -> Table | None:
    """Return by how much the test AUROC falls when a column is permuted."""
    columns = [
        Column("model", "Model"),
        Column("column", "Column"),
        Column("mean", "Fall of the AUROC", "number", 3),
        Column("deviation", "SD", "number", 3),
    ]
    caption = "Permutation importance: by how much the test AUROC falls when the values of a column are shuffled."
    return Table("importance", caption, columns, rows) if rows else None
