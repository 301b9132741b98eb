"""The report names the licenses and attributions of the images that were used."""

from pathlib import Path

import pandas as pd

from melanoma.report.data_tables import license_table


def catalog(folder: Path, **columns: list[str | None]) -> Path:
    pd.DataFrame(columns).astype("str").to_parquet(folder / "catalog.parquet")
    return folder / "catalog.parquet"


def test_images_are_counted_by_license_and_attribution(tmp_path: Path) -> None:
    path = catalog(
        tmp_path,
        source=["a", "a", "a", "b"],
        license=["CC-BY", "CC-BY", "CC-0", None],
        attribution=["MSKCC", "MSKCC", None, None],
    )
    table = license_table(path)
    assert table is not None and table.rows == [
        ["a", "CC-BY", "MSKCC", 2],
        ["a", "CC-0", "not stated", 1],
        ["b", "not stated", "not stated", 1],
    ]


def test_tables_without_licenses_give_none(tmp_path: Path) -> None:
    assert license_table(catalog(tmp_path, source=["a"], license=[None], attribution=[None])) is None
