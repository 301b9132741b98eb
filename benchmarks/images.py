"""Compares the preparation of images with full decoding and area resize by OpenCV, and with decoding alone.

python benchmarks/images.py --images FOLDER_OF_JPEGS --output benchmarks/results/images.md
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import simplejpeg
from measurement import ROOT, conditions, markdown, medians, parser, publish
from numpy.typing import NDArray

from melanoma.common.files import sha256
from melanoma.config.data import Images
from melanoma.demo.images import draw_photograph
from melanoma.images.header import read_header
from melanoma.images.preprocess import crop_and_resize
from melanoma.images.quality import measure
from melanoma.images.shards import prepare_file

SIZE = 512
SETTINGS = Images(size=SIZE)
# Width, height, standard deviation of the noise, JPEG quality. The last two determine the size of the file.
PHOTOGRAPHS = {
    "24 Mpx, large file": (6000, 4000, 4.0, 95),
    "24 Mpx, medium file": (6000, 4000, 2.0, 95),
    "24 Mpx, small file": (6000, 4000, 2.0, 90),
    "1080p": (1920, 1080, 4.0, 95),
    "640 x 480": (640, 480, 4.0, 95),
}
REPEATS = 11


def photograph(source: NDArray[np.uint8], width: int, height: int, noise: float, quality: int) -> bytes:
    """Enlarge RGB pixels, add noise like that of a sensor, and encode them as JPEG."""
    large = cv2.resize(source, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large += np.random.default_rng(0).standard_normal(large.shape, dtype=np.float32) * noise
    bgr = large.clip(0, 255).astype(np.uint8)[..., ::-1]
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def full_and_area(data: bytes) -> NDArray[np.uint8]:
    """Decode at full size, crop the center, and resize by area."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    prepared = cv2.resize(pixels[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(prepared, cv2.COLOR_BGR2RGB)


def one_core(source: NDArray[np.uint8], folder: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of the table of ratios and of the table of the parts of preparation."""
    ratios, parts = [], []
    for label, (width, height, noise, quality) in PHOTOGRAPHS.items():
        data = photograph(source, width, height, noise, quality)
        path = folder / f"{label}.jpg"
        path.write_bytes(data)
        header = read_header(data)
        factor = next(f for f in (8, 4, 2, 1) if min(width, height) // f >= SIZE or f == 1)
        least = {"min_width": -(-width // factor), "min_height": -(-height // factor)}
        prepared = crop_and_resize(data, header, SETTINGS)
        took = medians(
            {
                "ours": lambda path=path: prepare_file(path, SETTINGS),
                "full": lambda data=data: full_and_area(data),
                "floor": lambda data=data, least=least: simplejpeg.decode_jpeg(data, strict=False, **least),
                "strict": lambda data=data, least=least: simplejpeg.decode_jpeg(data, strict=True, **least),
                "prepared": lambda data=data, header=header: crop_and_resize(data, header, SETTINGS),
                "sha256": lambda data=data: sha256(data),
                "measure": lambda prepared=prepared: measure(prepared),
            },
            REPEATS,
        )
        difference = np.abs(prepared.astype(int) - full_and_area(data)).mean()
        ratios.append(
            [
                label,
                f"{len(data) / 1e6:.1f}",
                *(f"{took[name]:.2f}" for name in ("ours", "full", "floor")),
                f"**{took['full'] / took['ours']:.2f}**",
                f"**{took['floor'] / took['ours']:.2f}**",
                f"{took['floor'] / took['prepared']:.2f}",
                f"{difference:.2f}",
            ]
        )
        strict = took["strict"] - took["floor"]
        parts.append([label, *(f"{value:.2f}" for value in (strict, took["sha256"], took["measure"]))])
    return ratios, parts


def several_processes(folder: Path, count: int) -> list[list[str]]:
    """Return images per second of a shard of `count` 24 Mpx images with 1, 2 and 4 threads."""
    path = folder / f"{next(iter(PHOTOGRAPHS))}.jpg"
    catalog = pd.DataFrame({"image": [f"i{k}" for k in range(count)], "file": [str(path)] * count})
    catalog.to_parquet(folder / "catalog.parquet")
    code = (
        "from melanoma.config.data import Images\n"
        "import sys, time, pandas as pd; from pathlib import Path; from melanoma.images.shards import write_shard\n"
        "catalog = pd.read_parquet(sys.argv[1]); start = time.perf_counter()\n"
        f"write_shard(Path(sys.argv[2]), catalog, {SETTINGS!r}, int(sys.argv[3])); print(time.perf_counter() - start)"
    )
    times: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(3):
        for at_a_time, values in times.items():
            command = [sys.executable, "-c", code, folder / "catalog.parquet", folder / "s.h5", at_a_time]
            result = subprocess.run(
                list(map(str, command)), cwd=ROOT / "scripts", check=True, capture_output=True, text=True
            )
            values.append(float(result.stdout))
    took = {at_a_time: statistics.median(values) for at_a_time, values in times.items()}
    return [[str(k), f"{count / v:.1f}", f"{took[1] / v:.2f}"] for k, v in took.items()]


def main() -> None:
    """Measure and write the tables."""
    options = parser(__doc__)
    options.add_argument(
        "--images", type=Path, help="folder of JPEGs, the first of which is enlarged; default: a drawn lesion"
    )
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    options.add_argument("--count", type=int, default=192, help="images of the shard that 1, 2 and 4 threads write")
    args = options.parse_args()
    cv2.setNumThreads(1)
    if args.images:
        source = cv2.imread(str(min(args.images.iterdir())))[..., ::-1]
    else:
        source = draw_photograph(np.random.default_rng(0), (1500, 1000), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        ratios, parts = one_core(source, Path(folder))
        scaling = several_processes(Path(folder), args.count) if len(os.sched_getaffinity(0)) >= 4 else []
    columns = ["image", "MB", "preparation, ms", "full decode + area resize, ms", "scaled decode, ms"]
    columns += ["full / preparation", "scaled / preparation", "scaled / decode and resize"]
    text = [
        "# Preparation of images\n",
        conditions(f"median CPU time of {REPEATS} runs, in turns"),
        "Preparation reads the file and computes SHA-256, strict decode, crop, resize and quality.",
        "Scaled decode is decoding alone by the same library, without strict checks. The last ratio leaves out",
        "reading, SHA-256 and quality. The difference is that of the pixels after both ways to resize.\n",
        markdown([*columns, "mean difference, gray levels"], ratios),
        "Parts of preparation, ms per image:\n",
        markdown(["image", "strict checks", "SHA-256", "quality"], parts),
    ]
    if scaling:
        text += [
            f"A shard of {args.count} images of 24 Mpx, wall time, median of 3 runs:\n",
            markdown(["threads", "images per second", "speedup"], scaling),
        ]
    publish(args.output, *text)


if __name__ == "__main__":
    main()
