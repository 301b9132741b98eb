"""Random numbers without a state, so that a checkpoint has none to save.

A number is a function of seed, epoch, sample index and stream: the mixing function of SplitMix64 (Steele, Lea and
Flood, OOPSLA 2014). It is the same in every process, in every order, and after every interruption.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Keys = TypeVar("Keys", np.uint64, NDArray[np.uint64])
_STEP = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, epoch: int, sample_indices: NDArray[np.integer], streams: int) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1), shape (samples, streams). Numbers of different arguments are independent."""
    epoch_key = _mix(_mix(np.uint64(seed)) ^ np.uint64(epoch))
    with np.errstate(over="ignore"):
        sample_keys = _mix(epoch_key + _STEP * (sample_indices.astype(np.uint64) + np.uint64(1)))
        keys = _mix(sample_keys[:, None] + _STEP * (np.arange(streams, dtype=np.uint64) + np.uint64(1)))
    return (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53


def derived_seed(*parts: int) -> int:
    """Return a seed in [0, 2**31) that is a function of `parts`, for libraries with their own generators."""
    key = np.uint64(0)
    for part in parts:
        key = _mix(key ^ np.uint64(part))
    return int(key >> np.uint64(33))


def _mix(key: Keys) -> Keys:
    with np.errstate(over="ignore"):
        key = key + _STEP
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
