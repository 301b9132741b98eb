"""One flipped byte in any file of a finished study: its reader gets the same content, or an error names the file.

MELANOMA_FLIPS is the number of flips, MELANOMA_SEED the seed of their places.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.common.files import digest_file, read_csv, read_intact, read_json, read_parquet, read_yaml
from melanoma.explain.explanation_file import read_explanations
from melanoma.images.shards import read_file
from melanoma.images.store import ImageStore
from melanoma.predictions.test_access_log import read_access_log
from melanoma.report.contents import figure
from melanoma.tables.tables import read_frame
from melanoma.training.saved_network import from_safetensors

FLIPS = int(os.environ.get("MELANOMA_FLIPS", "120"))
SEED = int(os.environ.get("MELANOMA_SEED", "1"))
pytestmark = pytest.mark.xdist_group("finished")


def store(path: Path) -> bytes:
    images = ImageStore(path if path.name == "images.h5" else path.parents[1] / "images.h5")
    return repr([images.names, images.preparation]).encode() + images.read(range(len(images))).tobytes()


READERS: dict[str, Callable[[Path], object]] = {
    ".json": read_json,
    ".yaml": read_yaml,
    ".parquet": lambda path: read_parquet(path).to_json(),
    ".csv": lambda path: (read_csv(path).to_json(), read_frame(path).to_json()),
    ".h5": store,
    ".jpg": read_file,
    ".png": lambda path: figure("x", path),
    ".svg": lambda path: figure("x", path),
    ".jsonl": read_access_log,
    ".safetensors": lambda path: repr(from_safetensors(path.read_bytes(), path)),
    "shard_count": read_intact,
    ".npz": lambda path: repr(read_explanations(path)),
}
READ_BY_PEOPLE = (".txt", ".html", ".pdf", ".tex")


def files(results: Path) -> dict[str, list[Path]]:
    """Return the files that a later stage reads, by kind. Of report/, that is the figures; the rest people read."""
    found: dict[str, list[Path]] = {}
    for path in sorted(each for each in results.rglob("*") if each.is_file()):
        is_read = "report" not in path.relative_to(results).parts or digest_file(path).exists()
        if is_read and not path.name.startswith(".") and path.suffix not in READ_BY_PEOPLE:
            found.setdefault(path.suffix or path.name, []).append(path)
    return found


def outcome(path: Path) -> object:
    try:
        return READERS[path.suffix or path.name](path)
    except InputError as error:
        return error


def test_a_flipped_byte_in_any_file_of_a_study_is_noticed(finished, tmp_path: Path) -> None:
    results = shutil.copytree(finished[0] / "results/tiny", tmp_path / "tiny")
    kinds = files(results)
    assert set(kinds) == set(READERS)
    random = np.random.default_rng(SEED)
    silent, unnamed = [], []
    for number in range(FLIPS):
        paths = list(kinds.values())[number % len(kinds)]
        path = paths[random.integers(len(paths))]
        before, whole = outcome(path), path.read_bytes()
        data, place = bytearray(whole), int(random.integers(len(whole)))
        data[place] ^= int(random.integers(1, 256))
        path.write_bytes(data)
        after = outcome(path)
        path.write_bytes(whole)
        case = (str(path.relative_to(results)), place, data[place])
        if isinstance(after, InputError):
            is_named = str(path) in str(after) and ("Delete" in str(after) or "run" in str(after))
            unnamed += [] if is_named else [(*case, str(after))]
        elif after != before and not (path.suffix == ".jsonl" and "'damaged'" in str(after)):
            silent.append(case)
    assert not silent and not unnamed
