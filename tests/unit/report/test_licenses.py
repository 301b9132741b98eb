"""The report names the licenses and attributions of the images that were used."""

from pathlib import Path

import pandas as pd

from melanoma.report.licenses import licenses


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
    assert [tuple(entry.values()) for entry in licenses(path)] == [
        ("a", "CC-BY", "MSKCC", 2),
        ("a", "CC-0", "", 1),
        ("b", "", "", 1),
    ]


def test_tables_without_licenses_give_none(tmp_path: Path) -> None:
    assert licenses(catalog(tmp_path, source=["a"], license=[None], attribution=[None])) == []
