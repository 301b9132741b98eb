"""No damage of a file of the workflow passes: a reader gets the content that was written, or an error names the file.

MELANOMA_FLIPS is the number of bytes that are flipped in a file of each kind, MELANOMA_SEED the seed of their places.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from melanoma.common.errors import InputError
from melanoma.common.files import (
    read_csv,
    read_json,
    read_parquet,
    read_yaml,
    write_bytes,
    write_csv,
    write_json,
    write_parquet,
    write_yaml,
)
from melanoma.models.embeddings import Embeddings
from melanoma.tables.tables import read_frame
from melanoma.training.saved_network import from_safetensors, to_safetensors

FLIPS = int(os.environ.get("MELANOMA_FLIPS", "200"))
SEED = int(os.environ.get("MELANOMA_SEED", "1"))
VALUES = {"cnn": {"auroc": 0.1 + 0.2, "bins": [1, None]}, "fusion": {"members": ["cnn", "é"]}}
TABLE = pd.DataFrame(
    {"image": [f"ISIC_{row}" for row in range(300)], "target": pd.array([0, 1, None] * 100, "Int8"), "age": 0.5}
)
NETWORK: Any = {
    "recipe": {"network": "baseline_cnn", "learning_rate": 1e-4},
    "epoch": 3,
    "weights": {"layer": torch.randn(20, 9, generator=torch.Generator().manual_seed(1)), "batches": torch.tensor(7)},
}


def network(path: Path) -> dict[str, Any]:
    trained: dict[str, Any] = dict(from_safetensors(path.read_bytes(), path))
    return trained | {"weights": {name: tensor.tolist() for name, tensor in trained["weights"].items()}}


def table(read: Callable[[Path], pd.DataFrame]) -> Callable[[Path], list[Any]]:
    return lambda path: [
        (name, str(column.dtype), column.astype(object).tolist()) for name, column in read(path).items()
    ]


EMBEDDINGS = Embeddings(
    ["a", "b"],
    np.arange(20, dtype=np.float32).reshape(2, 10),
    {"recipe": {"network": "baseline_cnn"}, "weights_sha256": "", "images": {}},  # type: ignore[typeddict-item]
)
KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "json": (lambda path: write_json(path, VALUES), read_json),
    "yaml": (lambda path: write_yaml(path, VALUES), read_yaml),
    "parquet": (lambda path: write_parquet(path, TABLE), table(read_parquet)),
    "csv": (lambda path: write_csv(path, TABLE), table(read_csv)),
    "pairs": (lambda path: write_csv(path, TABLE), table(read_frame)),
    "npz": (
        lambda path: EMBEDDINGS.write(path),
        lambda path: vars(Embeddings.read(path)) | {"values": Embeddings.read(path).values.tolist()},
    ),
    "predictions": (lambda path: write_parquet(path, TABLE), table(read_frame)),
    "safetensors": (lambda path: write_bytes(path, to_safetensors(NETWORK)), network),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[Path], str]]:
    """Return a file of a kind, and its reader, which returns all values as one text."""
    write, read = KINDS[request.param]
    path = tmp_path / f"file.{ {'predictions': 'parquet', 'pairs': 'csv'}.get(request.param, request.param) }"
    write(path)
    return path, lambda path: repr(read(path))


def damage(path: Path, read: Callable[[Path], str], data: bytes) -> str:
    """Return what a reader gets from the file with other bytes: the content, or the text of its error."""
    path.write_bytes(data)
    try:
        return read(path)
    except InputError as error:
        return str(error)


def test_one_flipped_byte_is_noticed(kind: tuple[Path, Callable[[Path], str]]) -> None:
    path, read = kind
    content, whole = read(path), path.read_bytes()
    random = np.random.default_rng(SEED)
    refused = 0
    for place in random.integers(len(whole), size=FLIPS):
        data = bytearray(whole)
        data[place] ^= random.integers(1, 256)
        result = damage(path, read, bytes(data))
        refused += str(path) in result and "Delete this file" in result
        assert str(path) in result or result == content, (place, result[:300])
    assert refused > 0.9 * FLIPS


def test_a_part_of_a_file_is_refused(kind: tuple[Path, Callable[[Path], str]]) -> None:
    path, read = kind
    whole = path.read_bytes()
    for length in np.random.default_rng(SEED).integers(len(whole) // 2, len(whole) - 80, size=20):
        data = whole[:length]
        if path.suffix != ".yaml":
            assert str(path) in damage(path, read, data)
        assert str(path) in damage(path, read, data + bytes(len(whole) - length))


def test_a_file_that_a_person_wrote_needs_no_digest(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "a.yaml").write_text("a: 1\n")
    TABLE.to_parquet(tmp_path / "a.parquet", index=False)
    assert read_json(tmp_path / "a.json") == read_yaml(tmp_path / "a.yaml") == {"a": 1}
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet"), TABLE)


def test_the_same_content_gives_the_same_bytes(kind: tuple[Path, Callable[[Path], str]]) -> None:
    path, _ = kind
    before = path.read_bytes()
    KINDS[path.suffix[1:]][0](path)
    assert path.read_bytes() == before
