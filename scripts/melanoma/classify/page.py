"""The answers as one self-contained page: a row for each image, with a thumbnail, a map and all that the table says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from melanoma.bundle.model import BundledModel
from melanoma.classify.maps import Mapper
from melanoma.common.cli import progress
from melanoma.common.files import atomic_path
from melanoma.config.data import Images
from melanoma.evaluation.summary import interval_text
from melanoma.explain.overlay import data_uri, overlay, shrunk
from melanoma.images.shards import prepare_file
from melanoma.training.prefetch import Prefetch

# More images have a row without pictures. A thumbnail and a map together take 4 to 10 kB of the page.
PICTURES = 2000
SIDE = 128  # of a picture, in pixels
AT_ONCE = 16
QUALITY = 70


def write_page(
    path: Path, bundle: BundledModel, result: pd.DataFrame, table: pd.DataFrame, rule: str, mapped: bool, gpus: int
) -> None:
    """Write the page of the answers `result` for the images of `table` (image, file, age, sex, site).

    The images are in the order of their probabilities, the highest first, and the unreadable ones last. The first
    PICTURES have a thumbnail, and a map of heat if `mapped`. The rows are written one by one, in constant memory.
    """
    rows = result.merge(table[["image", "age", "sex", "site"]], on="image", how="left", validate="1:1")
    rows = rows.sort_values("probability", ascending=False, kind="stable", na_position="last", ignore_index=True)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    readable = result["probability"].notna()
    with Prefetch(0, pinned=False) as prefetch, atomic_path(path) as temporary:
        mapper = Mapper(bundle, gpus, prefetch) if mapped else None
        page = environment.get_template("answers.html.j2").stream(
            about=bundle.about,
            threshold=bundle.threshold(rule),
            rule=rule,
            chosen=bundle.about.get("chosen", {}).get(rule),
            interval=interval_text,
            images=len(rows),
            unreadable=int((~readable).sum()),
            melanomas=int((result["decision"] == "melanoma").sum()),
            mapped=mapper is not None and bool(mapper.networks),
            conformal="conformal" in result,
            limit=PICTURES if readable.sum() > PICTURES else None,
            rows=_with_pictures(rows, _preparation(bundle), mapper),
        )
        page.dump(str(temporary), encoding="utf-8")


def _with_pictures(rows: pd.DataFrame, preparation: Images, mapper: Mapper | None) -> Iterator[dict[str, Any]]:
    """Yield each row as a dictionary, None for a missing value, with the addresses `thumbnail` and `map`."""
    starts = range(0, len(rows), AT_ONCE)
    for start in progress(starts, f"{AT_ONCE} rows of the page"):
        some = rows.iloc[start : start + AT_ONCE]
        pictured = some["probability"].notna() & (some.index < PICTURES)
        maps = mapper.maps(some[pictured]) if mapper is not None and pictured.any() else None
        drawn = iter([] if maps is None else maps)
        for shown, row in zip(pictured, some.astype(object).where(some.notna(), None).to_dict("records"), strict=True):
            pixels = prepare_file(row["file"], preparation).pixels if shown else None
            heat = next(drawn, None) if shown else None
            row["thumbnail"] = row["map"] = None
            if pixels is not None:
                row["thumbnail"] = data_uri(pixels, QUALITY)
                row["map"] = None if heat is None else data_uri(overlay(pixels, shrunk(heat, SIDE)), QUALITY)
            yield row


def _preparation(bundle: BundledModel) -> Images:
    """Return how thumbnails are prepared: as the first image network sees the images, but small."""
    trained = [run for network in bundle.networks.values() for run in network.runs.values()]
    seen = [run["images"] for run in trained if run["images"] is not None]
    return Images.model_validate({**(seen[0] if seen else {}), "size": SIDE})
