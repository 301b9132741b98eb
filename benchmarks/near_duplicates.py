"""Measures the search for near-duplicates: recall of planted copies, pairs by chance, known pairs, and its time.

python benchmarks/near_duplicates.py --images FOLDER --patients train.csv --cases FOLDER --drawn FOLDER

FOLDERs: real JPEGs with their table (image_name, patient_id); pairs.csv and its folder jpeg; JPEGs of draw_lesions.py.
Writes results/near_duplicates.md.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from measurement import Stopwatch, conditions, markdown, parser, publish
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from melanoma.images import near_duplicates, registration
from melanoma.images.near_duplicates import DOUBTED, MERGED, TAIL_START, chance_pairs, compare, describe, propose
from melanoma.images.thumbnails import read_thumbnails, shrink

RESULTS = Path(__file__).parent / "results" / "near_duplicates.md"
IMAGES, GIGABYTES, COPIES, CORES = 33_126, 23, 1000, 4  # the first two are those of ISIC 2020
Pixels = NDArray[np.uint8]
INTERPOLATIONS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def copy(image: Pixels, random: np.random.Generator) -> Pixels:
    """Crop up to 5 % at each side of every second image; shrink to .33-1, shift colors, turn, flip, and encode."""
    height, width = image.shape[:2]
    top, bottom, left, right = random.uniform(0, 0.05, 4) * (random.random() < 0.5)
    image = image[round(top * height) : round((1 - bottom) * height), round(left * width) : round((1 - right) * width)]
    scale = random.uniform(0.33, 1)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=int(random.choice(INTERPOLATIONS)))
    image = np.clip(image * random.uniform(0.8, 1.2, 3) + random.uniform(-20, 20, 3), 0, 255).astype(np.uint8)
    image = np.rot90(image, random.integers(4))
    if random.random() < 0.5:
        image = image[:, ::-1]
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 96))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", np.ascontiguousarray(image), quality)[1], 1), np.uint8)


def gray(image: Pixels) -> Pixels:
    """Return the thumbnail of an image, uint8 (h, w, 3) BGR."""
    return shrink(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def recall(files: list[Path], groups: NDArray[np.object_], seed: int) -> tuple[list[str], list[Pixels]]:
    """Return the row of COPIES planted copies of the files of patients `groups`, and the thumbnails of the files."""
    random = np.random.default_rng(seed)
    originals = [gray(cv2.imread(str(file))) for file in files]
    sources = np.arange(COPIES) % len(files)
    copies = [gray(copy(cv2.imread(str(files[at])), random)) for at in sources]
    pairs = pd.DataFrame(compare(originals + copies, 1), columns=["first", "second", "correlation"])
    source = np.concatenate([np.arange(len(files)), sources])
    is_same = source[pairs["first"]] == source[pairs["second"]]
    found = pairs[is_same & (pairs["first"] < len(files))]
    group = groups[source]
    other = group[pairs["first"]] != group[pairs["second"]]
    at_least = [f"{(found['correlation'] >= least).sum() / COPIES:.1%}" for least in (MERGED, DOUBTED)]
    return [*at_least, str(other.sum())], originals


def chance(thumbnails: list[Pixels], groups: NDArray[np.object_]) -> tuple[NDArray[np.float64], int]:
    """Return the correlations above TAIL_START of pairs of different groups, sorted, and the number of such pairs.

    The limits of the steps before are lowered, so that ten times as many pairs are registered to the end.
    """
    limits = near_duplicates.SIMILAR, registration.COARSE_CORRELATION, registration.HALF_CORRELATION
    near_duplicates.SIMILAR, registration.COARSE_CORRELATION, registration.HALF_CORRELATION = 0.44, 0.3, 0.2
    pairs = compare(thumbnails, 1, TAIL_START)
    near_duplicates.SIMILAR, registration.COARSE_CORRELATION, registration.HALF_CORRELATION = limits
    total = math.comb(len(groups), 2) - sum(math.comb(count, 2) for count in pd.Series(groups).value_counts())
    return np.sort([r for one, other, r in pairs if groups[one] != groups[other]]), total


def time_of(thumbnails: list[Pixels], files: list[Path]) -> list[list[str]]:
    """Return rows: what each part of the search costs, and the time for IMAGES images on CORES cores."""
    with Stopwatch() as reading:
        read_thumbnails(files, 10**8, 1)
    gigabyte = reading.cpu / sum(file.stat().st_size for file in files) * 1e9
    with Stopwatch() as describing:
        descriptors = np.array([describe(each) for each in thumbnails], np.float32)
    with ThreadPoolExecutor(1) as pool, threadpool_limits(1), Stopwatch() as proposing:
        candidates = len(propose(descriptors, pool).whole)
    with Stopwatch() as all_of_it:
        compare(thumbnails, 1)
    count = len(thumbnails)
    registering = (all_of_it.cpu - describing.cpu - proposing.cpu) / candidates
    share = candidates / math.comb(count, 2)
    each_pair = proposing.cpu / math.comb(count, 2)
    total = GIGABYTES * gigabyte + IMAGES * describing.cpu / count
    total += math.comb(IMAGES, 2) * (each_pair + share * registering)
    return [
        ["reading files of 1 GB", f"{gigabyte:.0f} s"],
        ["describing a thumbnail", f"{describing.cpu / count * 1e3:.1f} ms"],
        ["comparing the descriptors of a pair, 15 windows in 8 orientations both ways", f"{each_pair * 1e9:.0f} ns"],
        ["pairs that are registered", f"{share:.2%}"],
        ["registering a pair", f"{registering * 1e3:.2f} ms"],
        [
            f"all for {IMAGES:,} images of {GIGABYTES} GB on {CORES} cores, extrapolated",
            f"{total / CORES / 60:.1f} min",
        ],
    ]


def cases(folder: Path) -> str:
    """Say how many of the known pairs are detected, by what they are."""
    pairs = pd.read_csv(folder / "pairs.csv")
    names = sorted({*pairs["image_1"], *pairs["image_2"]})
    thumbnails = [gray(cv2.imread(str(folder / "jpeg" / f"{name}.jpg"))) for name in names]
    known = {(names[one], names[other]): r for one, other, r in compare(thumbnails, 1)}
    keys = [tuple(sorted(pair)) for pair in pairs[["image_1", "image_2"]].to_numpy()]
    pairs["correlation"] = [known.get(key, 0.0) for key in keys]
    counts = pairs.groupby("same_photograph")["correlation"].agg(
        merged=lambda r: (r >= MERGED).sum(), doubted=lambda r: r.between(DOUBTED, MERGED).sum(), all="count"
    )
    return markdown(["one photograph?", *counts], [[name, *map(str, row)] for name, *row in counts.itertuples()])


def main() -> None:
    """Measure and publish."""
    options = parser(__doc__)
    for name in ("images", "patients", "cases", "drawn"):
        options.add_argument(f"--{name}", type=Path, required=True)
    args = options.parse_args()
    cv2.setNumThreads(1)
    table = pd.read_csv(args.patients)
    real, drawn = [args.images / f"{name}.jpg" for name in table["image_name"]], sorted(args.drawn.glob("*.jpg"))
    patients = table["patient_id"].to_numpy(object)
    found, thumbnails = recall(real, patients, 1)
    planted = [["real images", *found], ["drawn images", *recall(drawn, np.arange(len(drawn), dtype=object), 2)[0]]]
    tail, total = chance(thumbnails, patients)
    scale = float((tail - TAIL_START).mean())
    bins = [[f"{low:.2f}", str((tail >= low).sum())] for low in np.arange(TAIL_START, tail[-1], 0.05)]
    expected = [[f"{least:.2f}", f"{chance_pairs(least, IMAGES):.2g}"] for least in (DOUBTED, MERGED)]
    costs = time_of(thumbnails, real)
    publish(
        RESULTS,
        "# Near-duplicates\n",
        f"## Planted copies: {COPIES} each\n",
        markdown(["copies of", "merged", "merged or doubted", "pairs of other patients"], planted),
        "## Known pairs\n",
        cases(args.cases),
        f"## Pairs by chance: {total:,} pairs of real images of different patients\n",
        markdown(["correlation of at least", "pairs"], bins),
        f"Largest: {tail[-1]:.3f}. Share above {TAIL_START}: {len(tail) / total:.2g}; mean excess {scale:.3f}.\n",
        markdown(["correlation of at least", f"pairs expected among {IMAGES:,} images"], expected),
        "## Time\n",
        markdown(["part", "CPU time"], costs),
        conditions("one run, one thread"),
    )


if __name__ == "__main__":
    main()
