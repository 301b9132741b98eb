"""The sources of a study: their tables, their folders of images, and the images that the workflow draws."""

import os
from collections.abc import Collection
from pathlib import Path

from melanoma.config.data import Download, Generate, Source
from melanoma.config.study import Study


def drawn(study: Study) -> dict[str, Generate]:
    """Return the settings of each source whose images the workflow draws, by its name."""
    return {source.name: source.generate for source in study.data.sources if source.generate}


def downloads(study: Study) -> dict[str, Download]:
    """Return the downloads whose path does not exist, by this path."""
    return {path: download for path, download in study.fetch.items() if not os.path.lexists(path)}


def for_catalog(study: Study, folder: str) -> list[Source]:
    """Return all sources. One that the workflow draws has its table and images in a folder of its name in `folder`."""
    return [_with_paths(source, f"{folder}/{source.name}") for source in study.data.sources]


def tables(sources: Collection[Source]) -> list[str]:
    """Return the paths of all tables."""
    return [path for source in sources for path in (source.table, source.metadata) if path]


def image_folders(sources: Collection[Source], later: Collection[str]) -> list[str]:
    """Return the folders and HDF5 files of images that exist, and those in `later`, which jobs make.

    The catalog reports the others.
    """
    folders = [folder for source in sources for folder in _listed(source.images)]
    return [folder for folder in folders if folder in later or Path(folder).exists()]


def _with_paths(source: Source, folder: str) -> Source:
    if not source.generate:
        return source
    paths = {"layout": "kaggle", "table": f"{folder}/train.csv", "images": f"{folder}/jpeg"}
    return source.model_copy(update=paths)


def _listed(folders: str | tuple[str, ...] | None) -> list[str]:
    return [folders] if isinstance(folders, str) else list(folders or [])
