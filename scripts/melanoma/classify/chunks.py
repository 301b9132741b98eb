"""The outputs of all networks of a bundle for many images: a chunk at a time, in constant memory, kill and go on."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.augment.tta import view_count
from melanoma.bundle.model import BundledModel
from melanoma.bundle.reference import COLORS, Reference, color
from melanoma.common.cli import progress
from melanoma.common.files import atomic_path, read_parquet, sha256, write_parquet
from melanoma.compute.device import compute_device, set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.config.data import Images
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.images.header import Unreadable, read_header
from melanoma.images.pixel_file import PixelFile
from melanoma.images.shards import prepare_images
from melanoma.images.store import Preparation
from melanoma.training.loader import Examples
from melanoma.training.predictor import VIEWS_AT_ONCE, Predictor, TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch

# About so many images are prepared, predicted and written at a time. A killed run repeats at most as many.
CHUNK = 960
# The columns of a chunk's file for each network and run begin with these.
LOGIT, DEVIATION = "logit", "view deviation"


class Outputs(NamedTuple):
    """What the networks say about all images.

    `quality`: the quality table, with readable and problem, the colors (see `reference.colors`), and `distance` from
    the training embeddings, if a network reads images. `logits`: those of each network and run by
    (network, run), (readable images,); `view_deviation`: in the same way, see `Predicted`; `embeddings`: in the same
    way, (readable images, width), of networks with images, or None if nothing reads them.
    """

    quality: pd.DataFrame
    logits: dict[tuple[str, str], NDArray[np.float64]]
    view_deviation: dict[tuple[str, str], NDArray[np.float64]]
    embeddings: dict[tuple[str, str], NDArray[np.float32]] | None


class _Run(NamedTuple):
    """One training of a network, ready to predict, and the number of its first image, for random views."""

    key: tuple[str, str]
    trained: TrainedNetwork
    predictor: Predictor
    tta: TTA
    first: int
    reference: Reference | None


def compute(bundle: BundledModel, table: pd.DataFrame, folder: Path, gpus: int, threads: int) -> Outputs:
    """Return the outputs of all networks for the images of `table` (image, file, age, sex, site).

    `folder` keeps finished chunks: the same call after a kill goes on from them. An unreadable image has no output and
    its problem in the quality table. Raises InputError if a bundle's network needs a GPU that is missing.
    """
    set_up_torch(threads)
    keep_embeddings = bundle.reads_embeddings
    size = _chunk_size(bundle)
    starts = range(0, len(table), size)
    with ExitStack() as stack:
        prefetch = stack.enter_context(Prefetch(max(threads - 1, 1) if gpus else 0, pinned=gpus > 0))
        runs = list(_runs(bundle, gpus, prefetch))
        parts = []
        for start in progress(starts, f"chunks of {size} images"):
            rows = table.iloc[start : start + size].reset_index(drop=True)
            path = folder / f"{start:09d}-{_stamp(bundle, rows)}.parquet"
            if not path.exists():
                _compute_chunk(runs, rows, start, path, threads, keep_embeddings)
            parts.append(path)
    outputs = pd.concat(map(read_parquet, parts), ignore_index=True)
    readable = outputs[outputs["readable"]]
    keys = [run.key for run in runs]
    logits, deviation = (
        {key: readable[_column(what, key)].to_numpy(np.float64) for key in keys} for what in (LOGIT, DEVIATION)
    )
    if not keep_embeddings:
        return Outputs(outputs, logits, deviation, None)
    vectors = {
        run.key: np.concatenate([np.load(_vectors(part, run.key)) for part in parts])
        for run in runs
        if run.trained["images"] is not None
    }
    return Outputs(outputs, logits, deviation, vectors)


def _runs(bundle: BundledModel, gpus: int, prefetch: Prefetch) -> Iterator[_Run]:
    kept = bundle.about.get("training_embeddings")
    for name, network in bundle.networks.items():
        for run in network.test_runs:
            trained = network.runs[run]
            device = compute_device(gpus, trained["recipe"]["precision"])
            columns = len(MetadataEncoder.from_dict(trained["encoder"]).names)
            predictor = restored(trained, columns, device, prefetch, Processes())
            measures = kept is not None and (kept["network"], kept["run"]) == (name, run)
            reference = bundle.reference if measures else None
            yield _Run((name, run), trained, predictor, network.tta, network.first_test[run], reference)


def _compute_chunk(
    runs: list[_Run], rows: pd.DataFrame, start: int, path: Path, threads: int, keep_embeddings: bool
) -> None:
    """Prepare a chunk once for each preparation, predict it by all runs, and write the outputs to `path`."""
    quality = None
    stores: dict[str, PixelFile] = {}
    with ExitStack() as stack:
        for preparation in (run.trained["images"] for run in runs):
            if preparation is None or _name(preparation) in stores:
                continue
            settings = Images(**preparation, on_unreadable="drop")
            store = PixelFile(path.with_name(f".{path.stem}-{_name(preparation)}.pixels"), settings.size)
            stores[_name(preparation)] = stack.enter_context(store)
            quality = _prepare(store, rows, settings, threads)
        if quality is None:
            quality = _measured_files(rows).assign(**dict.fromkeys(COLORS, np.nan))
        outputs: dict[str, NDArray[np.float64]] = {}
        quality = quality.assign(distance=np.nan)
        readable = quality["readable"].to_numpy()
        known = rows[readable].reset_index(drop=True)
        for run in runs:
            logits, deviation = np.full((2, len(rows)), np.nan)
            if len(known):
                examples = _examples(run, known, stores, start)
                logits[readable], embeddings, deviation[readable] = run.predictor.predict_views(examples, run.tta)
                if run.reference is not None and embeddings is not None:
                    quality.loc[readable, "distance"] = run.reference.distance(embeddings)
                if keep_embeddings and embeddings is not None:
                    with atomic_path(_vectors(path, run.key)) as temporary, temporary.open("wb") as file:
                        np.save(file, embeddings)
            outputs |= {_column(LOGIT, run.key): logits, _column(DEVIATION, run.key): deviation}
    write_parquet(path, quality.assign(**outputs))


def _prepare(store: PixelFile, rows: pd.DataFrame, settings: Images, threads: int) -> pd.DataFrame:
    """Prepare the images of `rows`, add the readable ones to `store`, and return their quality table with COLORS."""
    means: list[tuple[float, float]] = []

    def add(_: str, pixels: NDArray[np.uint8]) -> None:
        store.add(pixels)
        means.append(color(pixels))

    quality = prepare_images(rows, settings, threads, add)
    measured = np.array(means, np.float64).reshape(-1, len(COLORS))
    return quality.join(pd.DataFrame(measured, columns=list(COLORS), index=quality.index[quality["readable"]]))


def _measured_files(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the part of the quality table that needs no pixels, for a model that reads none but the size."""
    measured: list[tuple[int, int, bool, str | None]] = []
    for file in rows["file"]:
        try:
            header = read_header(Path(file).read_bytes())
            measured.append((header.width, header.height, True, None))
        except Unreadable as error:
            measured.append((0, 0, False, str(error)))
    columns = pd.DataFrame(measured, columns=["width", "height", "readable", "problem"])
    return pd.concat([rows[["image", "file"]], columns], axis=1)


def _examples(run: _Run, known: pd.DataFrame, stores: dict[str, PixelFile], start: int) -> Examples:
    trained = run.trained
    store = None if trained["images"] is None else stores[_name(trained["images"])]
    table = known.assign(row=np.arange(len(known)))
    examples = Examples.of(table, MetadataEncoder.from_dict(trained["encoder"]), None, trained["size"])
    return replace(examples, store=store, first=run.first + start)


def _chunk_size(bundle: BundledModel) -> int:
    """Return a size at which the batches of a chunk are those of all images at once, for every network."""
    views = [view_count(network.tta) for network in bundle.networks.values()]
    whole = math.lcm(*(max(VIEWS_AT_ONCE // count, 1) for count in views), 1)
    return max(CHUNK // whole, 1) * whole


def _stamp(bundle: BundledModel, rows: pd.DataFrame) -> str:
    """Return a hash of all that decides the outputs of a chunk: the bundle, the files and the metadata."""
    files = [(file, Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in rows["file"]]
    metadata = rows[["age", "sex", "site"]].to_csv(index=False)
    return sha256("\n".join([str(bundle.about["files"]), str(files), metadata, DEVIATION]).encode())[:16]


def _name(preparation: Preparation) -> str:
    return sha256(str(sorted(preparation.items())).encode())[:8]


def _column(what: str, key: tuple[str, str]) -> str:
    return " ".join((what, *key))


def _vectors(path: Path, key: tuple[str, str]) -> Path:
    return path.with_name(f"{path.stem}-{'-'.join(key)}.npy")
