"""The images that two splits have in common, part by part, and as many as chance gives."""

import pandas as pd


def overlap(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Compare two saved splits (image, part, fold; see `read_saved`) on the images that both have.

    Returns a row for all images, test, train and each fold: `part`; `first` and `second`, the images
    that each split has there; `common`, those that both have there; and `expected`, what two independent splits would
    have in common. The last two rows are the test of one split in the training data of the other.
    """
    both = first.merge(second, on="image", suffixes=("_first", "_second"))
    test = [both[f"part_{name}"] == "test" for name in ("first", "second")]
    members = {"all": (both["image"].notna(),) * 2, "test": tuple(test), "train": (~test[0], ~test[1])}
    for fold in range(int(max(first["fold"].max(), second["fold"].max())) + 1):
        members[f"fold {fold}"] = (both["fold_first"] == fold, both["fold_second"] == fold)
    members |= {"test of the first in train of the second": (test[0], ~test[1])}
    members |= {"train of the first in test of the second": (~test[0], test[1])}
    return pd.DataFrame(
        {
            "part": part,
            "first": one.sum(),
            "second": other.sum(),
            "common": (one & other).sum(),
            "expected": one.sum() * other.sum() / max(len(both), 1),
        }
        for part, (one, other) in members.items()
    )
