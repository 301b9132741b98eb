"""A catalog of small random images, and the image store of it."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from melanoma.config.data import Images
from melanoma.images.shards import shard_rows, write_shard
from melanoma.images.store import merge_shards

SIZE = 24
SETTINGS = Images(size=SIZE, fit="resize", on_unreadable="drop")


def catalog(folder: Path, count: int = 11) -> pd.DataFrame:
    """Write `count` random images, the fifth of them empty, and return their catalog."""
    random = np.random.default_rng(count)
    names = [f"ISIC_{k:02d}" for k in range(count)]
    for k, name in enumerate(names):
        data = cv2.imencode(".png", random.integers(0, 256, (SIZE, SIZE, 3), np.uint8))[1].tobytes()
        (folder / f"{name}.jpg").write_bytes(b"" if k == 4 else data)
    return pd.DataFrame({"image": names, "file": [str(folder / f"{name}.jpg") for name in names]})


def build(folder: Path, table: pd.DataFrame, shards: int, settings: Images = SETTINGS) -> Path:
    """Write shards and merge them as the workflow does; return the path of the store."""
    paths, qualities = [], []
    for shard in range(shards):
        paths.append(folder / "images" / "shards" / f"shard-{shard:03d}.h5")
        qualities.append(paths[-1].with_suffix(".parquet"))
        write_shard(paths[-1], table.iloc[shard_rows(len(table), shard, shards)], settings, 1).to_parquet(qualities[-1])
    merge_shards(paths, qualities, folder / "images" / "images.h5").to_parquet(folder / "images" / "quality.parquet")
    return folder / "images" / "images.h5"
