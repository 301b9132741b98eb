"""The licenses of the images of a study, and whom they ask to name."""

from pathlib import Path
from typing import TypedDict

from melanoma.common.files import read_parquet

COLUMNS = ["source", "license", "attribution"]


class License(TypedDict):
    """The images of a source with one license and one attribution; both are empty where the table states none."""

    source: str
    license: str
    attribution: str
    images: int


def licenses(catalog: Path) -> list[License]:
    """Count the images of a catalog, Parquet, by source, license and attribution; empty if no table states any."""
    table = read_parquet(catalog, columns=COLUMNS)
    if table[COLUMNS[1:]].isna().all(axis=None):
        return []
    counts = table.fillna("").groupby(COLUMNS, sort=False).size()
    return [
        License(source=source, license=license_, attribution=attribution, images=int(count))
        for (source, license_, attribution), count in counts.items()
    ]
