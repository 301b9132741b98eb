"""Settles whose ids are the same: within a source, and between sources that share ids.

A source's ids are its own, or shared with all other sources whose ids are global. What no rule can tell stops the run:
two spellings that may be one id, and sources with the same ids that do not say whose these are.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import pandas as pd

from melanoma.common.errors import InputError, listing
from melanoma.config.data import Source
from melanoma.data.catalog_schema import Issue
from melanoma.sources.layouts import SourceTable, noting
from melanoma.tables.identifiers import similar, spelling
from melanoma.tables.tables import row_name

KINDS = {"patient": "patient ids", "lesion": "lesion ids", "image": "image names"}
# Two sources have other persons under the same ids if the sexes differ for this many and this share of them. Of other
# persons, about half differ. Of the same persons, few do: errors of writing.
DIFFERENT_PERSONS = 3, 0.2


def settle_ids(
    cells: pd.DataFrame, sex: pd.Series, given: Sequence[Source], sources: list[SourceTable], faults: list[str]
) -> tuple[pd.DataFrame, list[Issue]]:
    """Return `cells` with settled patients, lesions and images, and warnings; append to `faults` what nothing can tell.

    `sex` has a word of the vocabulary for each row. Similar ids become one where similar_ids is same: the first of them
    in alphabetical order. An id of a source with ids of its own gets the name of the source: name:id. Where `stands_in`
    says that a patient has no name, the name of the source and the lesion, or else the image, stand in.
    """
    settings = {source.name: source for source in given}
    tables = {source.name: source for source in sources}
    shared = cells["source"].map({name: settings[name].shares_ids for name in tables}).astype(bool)
    space = cells["source"].mask(shared, "")
    # Images with two files are two images. Where a source has no files, only the names can tell.
    without_files = cells["source"].map({source.name: source.folders is None for source in sources}).astype(bool)
    spaces = {"patient": space, "lesion": space, "image": pd.Series("", index=cells.index).where(without_files)}
    for kind, ids_space in spaces.items():
        with noting(faults):
            cells = cells.assign(**{kind: _one_spelling(cells, kind, ids_space, settings, tables)})
    notes = list(_overlaps(cells, sex, settings, tables, faults))
    prefix = cells["source"] + ":"
    own = {kind: cells[kind].mask(~shared, prefix + cells[kind]) for kind in ("patient", "lesion")}
    patient = own["patient"].mask(cells["stands_in"], prefix + cells["lesion"].fillna(cells["image"]))
    return cells.assign(patient=patient, lesion=own["lesion"]), notes


def _one_spelling(
    cells: pd.DataFrame, kind: str, space: pd.Series, settings: dict[str, Source], tables: dict[str, SourceTable]
) -> pd.Series:
    """Return the ids of one kind, similar ones of a space made one where their sources say so.

    Raises InputError that lists the similar ids of sources that do not say whether they are the same.
    """
    ids = cells[kind]
    named = ids[ids.notna() & space.notna()]
    number = named.groupby(space).transform(lambda within: within.map(similar(within)))
    members = pd.DataFrame({"id": named, "space": space, "number": number}).dropna()
    answer = cells.loc[members.index, "source"].map({name: source.similar_ids for name, source in settings.items()})
    sets = members.assign(answer=answer).groupby(["space", "number"], sort=False)
    agreed = sets["answer"].transform("nunique") == 1
    same, different = (agreed & (answer == word) for word in ("same", "different"))
    guesses = members[~same & ~different]
    if len(guesses):
        names = cells.loc[guesses.index, "source"].unique()
        shown = [_spellings(rows["id"], cells, kind, tables) for _, rows in guesses.groupby(["space", "number"])]
        raise InputError(
            f"source {', '.join(names)}: {KINDS[kind]} that may be spellings of one:\n{listing(shown)}\n"
            "Correct them, or set similar_ids in each source that has them: same makes them one, different keeps them"
            " apart"
        )
    return ids.mask(same.reindex(ids.index, fill_value=False), sets["id"].transform("min"))


def _spellings(members: pd.Series, cells: pd.DataFrame, kind: str, tables: dict[str, SourceTable]) -> str:
    """Describe the spellings of one id, each with its number of rows and the first of them."""
    texts = []
    for text, rows in members.groupby(members, sort=False):
        first = cells.loc[rows.index[0]]
        source = tables[first["source"]]
        place = source.places.get(kind) or source.places["image"]
        line = first["metadata_row"] if place.metadata else first["row"]
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        texts.append(f"{text!r} ({place.table} {row_name(place.table)} {line}{more})")
    return ", ".join(texts)


def _overlaps(
    cells: pd.DataFrame,
    sex: pd.Series,
    settings: dict[str, Source],
    tables: dict[str, SourceTable],
    faults: list[str],
) -> Iterator[Issue]:
    """Compare the ids of each source that does not say whose they are with those of every source that may share them.

    Yields a warning where the sexes show that the same ids are other persons. Otherwise the sources are a fault.
    """
    silent = {name for name in tables if settings[name].ids is None and not settings[name].shares_ids}
    open_pairs = [
        pair
        for pair in combinations([name for name in tables if settings[name].ids != "source"], 2)
        if silent & {*pair}
    ]
    persons = {name: _sexes(cells[cells["source"] == name], sex) for name in {*sum(open_pairs, ())}}
    for one, other in open_pairs:
        both = persons[one].join(persons[other], how="inner", suffixes=("_one", "_other"))
        if both.empty:
            continue
        kind = "patient" if "patient" in both.index.get_level_values("kind") else "lesion"
        both = both.loc[kind]
        compared = both.dropna()
        different = int((compared["sex_one"] != compared["sex_other"]).sum())
        found = f"{len(both)} {KINDS[kind]} of source {one} are in source {other}, too, such as"
        found += f" {', '.join(both['id_one'].head(3))}"
        if different >= DIFFERENT_PERSONS[0] and different > DIFFERENT_PERSONS[1] * len(compared):
            place = tables[other].places.get(kind) or tables[other].places["image"]
            yield Issue(
                source=f"{one}, {other}",
                table=place.table,
                row=None,
                image=None,
                column=place.column,
                value=None,
                problem=f"{found}; the sex of {different} differs, so each source counts its own {kind}s; confirm it"
                " by ids: source, or set ids: global if they are the same",
                action="warning",
            )
        else:
            undecided = " and ".join(sorted(silent & {one, other}))
            faults.append(
                f"sources {one} and {other}: {found}. Nothing tells whether these are the same {kind}s. If they are,"
                f" set ids: global in both sources. If not, set ids: source in {undecided}"
            )


def _sexes(rows: pd.DataFrame, sex: pd.Series) -> pd.DataFrame:
    """Return id and sex (None if it is unknown or not one) of each patient and lesion, by kind and spelling."""
    parts = []
    for kind in ("patient", "lesion"):
        known = rows[rows[kind].notna()]
        by_id = sex[known.index].groupby(known[kind], sort=False)
        sexes = by_id.first().where(by_id.nunique() == 1).rename("sex")
        parts.append(
            pd.DataFrame({"kind": kind, "id": sexes.index, "sex": sexes.to_numpy()}).assign(
                spelling=[spelling(text).number for text in sexes.index]
            )
        )
    return pd.concat(parts).drop_duplicates(["kind", "spelling"]).set_index(["kind", "spelling"])
