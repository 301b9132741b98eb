"""The free disk, and an estimate of what a study needs: the image store, downloads, weights and checkpoints."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from melanoma.common.errors import InputError
from melanoma.config.data import Source
from melanoma.config.study import Study
from melanoma.doctor.data import Reply, missing_downloads
from melanoma.doctor.findings import Finding, fault, note, ok, warning
from melanoma.models.classifier import build_network
from melanoma.snakefile.trainings import Trainings
from melanoma.sources.image_files import list_images
from melanoma.tables.tables import read_table
from melanoma.training.checkpoint import MAX_CHECKPOINTS

SUBJECT = "disk"
FLOAT = 4  # bytes
# A checkpoint has the weights and the two moments of the optimizer.
CHECKPOINT = MAX_CHECKPOINTS * 3 * FLOAT
COLUMNS = 20  # of the encoded metadata; their weights are few
RESERVE = 10**9  # bytes for tables, logs, figures and the report
GB = 1e9


def check_disk(study: Study, folder: Path, replies: Mapping[str, Reply]) -> list[Finding]:
    """Compare the free bytes of `folder` with the estimate. `replies` has the sizes of missing downloads, if known."""
    parameters = count_parameters(study)
    needs, unknown = study_needs(study, folder, replies)
    needs["weights"] = parameters * FLOAT
    checkpoints = parameters * CHECKPOINT
    free, need = shutil.disk_usage(folder).free, sum(needs.values())
    parts = ", ".join(f"{what} {size / GB:.1f} GB" for what, size in needs.items() if size >= GB / 20)
    text = f"{free / GB:.1f} GB are free in {folder}, and the study needs about {need / GB:.1f} GB ({parts})"
    if unknown:
        text += f"; not known yet: {unknown[0]}" + (f" and {len(unknown) - 1} more" if unknown[1:] else "")
    cure = (
        "free some space, run on another file system (snakemake --directory FOLDER), or prepare smaller images"
        " (images.size); look at your quota, too, which this number does not know"
    )
    if free < need:
        return [fault(SUBJECT, text, cure)]
    if free < need + checkpoints:
        more = f"; checkpoints need up to {checkpoints / GB:.1f} GB more, if all trainings run at once"
        return [warning(SUBJECT, text + more, cure)]
    return [note(SUBJECT, text) if unknown else ok(SUBJECT, text)]


def study_needs(study: Study, folder: Path, replies: Mapping[str, Reply]) -> tuple[dict[str, int], list[str]]:
    """Return the bytes that a study still needs but for its networks, and the names of what is not known yet."""
    unknown = []
    images = 0
    for source in study.data.sources:
        count = count_images(source)
        images += count or 0
        unknown += [] if count is not None else [f"the number of images of {source.name}"]
    store = (folder / f"results/{study.study}/images/images.h5").exists() or not study.has_images
    pixels = 0 if store else images * study.images.size**2
    needs = {"results": RESERVE, "image store": 3 * pixels, "downloads": 0}
    for path, download in missing_downloads(study).items():
        size = replies.get(path)
        if isinstance(size, int):
            needs["downloads"] += size * (2 if download.unzip else 1)  # the zip, and what is in it
        else:
            unknown.append(f"the size of {path}")
    return needs, unknown


def count_images(source: Source) -> int | None:
    """Return the number of images of a source; None if its table is not there, or cannot be read."""
    if source.generate:
        return source.generate.images
    try:
        if source.table:
            return len(read_table(Path(source.table), source.header).rows)
        folders = [source.images] if isinstance(source.images, str) else source.images or []
        return sum(len(list_images(Path(path))) for path in folders)
    except (OSError, InputError):
        return None


def count_parameters(study: Study) -> int:
    """Return the number of weights of all networks of a study, over all its runs. No memory is taken for them."""
    trainings, total = Trainings.from_study(study), 0
    for name, recipe in trainings.recipes.items():
        if not recipe.is_trained:
            continue
        with torch.device("meta"):
            network = build_network(recipe, recipe.input_size or study.images.size, COLUMNS)
        model = next(model for model, training in trainings.names.items() if training == name)
        total += sum(weight.numel() for weight in network.parameters()) * len(trainings.runs(model))
    return total
