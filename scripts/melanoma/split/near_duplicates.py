"""What the split makes of near-duplicates: pairs that are merged, that are doubted, and what lists say about them."""

from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.common.cli import log
from melanoma.common.files import read_csv
from melanoma.config.split import NearDuplicates
from melanoma.split.assign import group_images, read_pairs
from melanoma.split.leakage import figures

FIGURES = {"verdict": "str", "correlation": "float64", "chance_pairs": "float64"}
CERTAIN = ("merged", "listed")  # the verdicts of pairs that leak if they are in two parts
LINKED = (*CERTAIN, "doubted, kept together")  # the verdicts of pairs that stay together


def read_near_duplicates(path: Path | None, settings: NearDuplicates) -> pd.DataFrame:
    """Return the pairs of the search and of the lists: first, second and FIGURES.

    A pair in the list `same` has the verdict listed, one in the list `different` the verdict cleared, whatever the
    search says. `path` is the table that the search writes, or None without a search.
    """
    found = read_pairs(path).astype("str")
    for column, kind in FIGURES.items():
        found[column] = pd.Series(dtype=kind) if path is None else read_csv(path)[column].astype(kind)
    same, different = (_keys(read_pairs(table)) for table in (settings.same, settings.different))
    added = pd.DataFrame(sorted(same - _keys(found)), columns=["first", "second"]).assign(verdict="listed")
    pairs = pd.concat([found, added], ignore_index=True).astype({"first": "str", "second": "str"} | FIGURES)
    keys = _sorted_names(pairs)
    pairs.loc[[key in same for key in keys], "verdict"] = "listed"
    pairs.loc[[key in different for key in keys], "verdict"] = "cleared"
    return pairs


def settle_doubts(
    near: pd.DataFrame, images: pd.DataFrame, keys: tuple[str, ...], duplicates: pd.DataFrame
) -> pd.DataFrame:
    """Return `near` with a verdict for each doubted pair: kept together, or apart where doubts would make a chain.

    Images that share a value of `keys`, are one of `duplicates` or certain near-duplicates are a group. The most alike
    pair comes first. A doubted pair joins its two groups unless another doubt has joined one of them to a third one.
    """
    near = near.sort_values(["correlation", "first", "second"], ascending=[False, True, True], ignore_index=True)
    certain = near["verdict"].isin(CERTAIN)
    links = pd.concat([duplicates[["first", "second"]], near.loc[certain, ["first", "second"]]], ignore_index=True)
    group = pd.Series(group_images(images, keys, links), index=images["image"])
    partner: dict[int, int] = {}
    doubted = near["verdict"].eq("doubted") & near[["first", "second"]].isin(group.index).all(axis=1)
    for at in np.flatnonzero(doubted):
        one, other = int(group[near.at[at, "first"]]), int(group[near.at[at, "second"]])
        joined = one == other or (partner.get(one, other) == other and partner.get(other, one) == one)
        if joined and one != other:
            partner |= {one: other, other: one}
        near.loc[at, "verdict"] = f"doubted, kept {'together' if joined else 'apart'}"
    return near


def linked(near: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs that stay together."""
    return near[near["verdict"].isin(LINKED)]


def log_doubts(near: pd.DataFrame) -> None:
    """Name the doubted pairs with their figures, and say how to decide about them."""
    doubted = near[near["verdict"].str.startswith("doubted")]
    for pair in doubted.itertuples():
        log.info("%s and %s: %s%s", pair.first, pair.second, pair.verdict, figures(pair))
    if len(doubted):
        log.warning(
            "%d pairs may show one photograph. Look at them, and list them in split.near_duplicates.same or .different",
            len(doubted),
        )


def _sorted_names(pairs: pd.DataFrame) -> list[tuple[str, str]]:
    return [(min(pair), max(pair)) for pair in pairs[["first", "second"]].itertuples(index=False, name=None)]


def _keys(pairs: pd.DataFrame) -> set[tuple[str, str]]:
    return set(_sorted_names(pairs))
