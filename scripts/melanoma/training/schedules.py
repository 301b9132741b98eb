"""Schedules: what the learning rates are multiplied by as training goes on."""

from math import cos, floor, pi
from typing import Any

ONE_CYCLE_START, ONE_CYCLE_PEAK = 1 / 25, 0.3


def rate_factor(schedule: dict[str, Any], epochs: int, epoch: float) -> float:
    """Return what each learning rate is multiplied by, in [0, 1], when `epoch` of `epochs` epochs are done.

    `epoch` is in [0, epochs]: 2.25 is a quarter into the third epoch. A schedule per epoch takes the whole epochs done,
    so that it is constant within an epoch. `schedule` is the recipe's, whose warm-up is shorter than `epochs`.

    A schedule reaches its end when all epochs are done, as torch's CosineAnnealingLR does: no epoch is trained at the
    `min_lr_factor` itself, which may be 0. Warm-up grows from `warmup_start_factor`, in the first epoch or batch, to 1,
    in the first one after it; what follows runs from there to the end. 1cycle (Smith 2018) has its own warm-up, and
    leaves the momentum alone.
    """
    done = epoch if schedule["per"] == "batch" else floor(epoch)
    if schedule["name"] == "1cycle":
        return _one_cycle(done / epochs, schedule["min_lr_factor"])
    warmup = schedule["warmup_epochs"]
    if done < warmup:
        return _between(schedule["warmup_start_factor"], 1, done / warmup)
    done -= warmup
    match schedule["name"]:
        case "step":
            return schedule["gamma"] ** (done // schedule["step_size"])
        case "exponential":
            return _between(schedule["min_lr_factor"], 1, schedule["gamma"] ** done)
        case "cosine":
            return _half_cosine(1, schedule["min_lr_factor"], done / (epochs - warmup))
        case _:
            return 1.0


def _one_cycle(share: float, end: float) -> float:
    if share < ONE_CYCLE_PEAK:
        return _half_cosine(ONE_CYCLE_START, 1, share / ONE_CYCLE_PEAK)
    return _half_cosine(1, end, (share - ONE_CYCLE_PEAK) / (1 - ONE_CYCLE_PEAK))


def _half_cosine(start: float, end: float, share: float) -> float:
    return _between(end, start, (1 + cos(pi * share)) / 2)


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
