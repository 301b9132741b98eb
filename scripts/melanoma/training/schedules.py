"""Schedules: the factor of the learning rates over the epochs of a training."""

from math import cos, floor, pi

from melanoma.config.optimization import Schedule

ONE_CYCLE_START, ONE_CYCLE_PEAK = 1 / 25, 0.3


def rate_factor(schedule: Schedule, epochs: int, epoch: float) -> float:
    """Return the factor of each learning rate, in [0, 1], after `epoch` of `epochs` epochs.

    `epoch` is in [0, epochs]: 2.25 is a quarter into the third epoch. A schedule by epoch is constant within an epoch.
    The warm-up must be shorter than `epochs`.

    A schedule reaches its end after all epochs, as torch's CosineAnnealingLR does. So no epoch is trained at
    `min_lr_factor` itself, which may be 0. The warm-up rises from `warmup_start_factor` in the first epoch or batch to
    1 in the first one after it. The schedule then runs over the epochs after the warm-up. 1cycle (Smith 2018) has a
    warm-up of its own, and does not change the momentum.
    """
    done = epoch if schedule.per == "batch" else floor(epoch)
    if schedule.name == "1cycle":
        return _one_cycle(done / epochs, schedule.min_lr_factor)
    warmup = schedule.warmup_epochs
    if done < warmup:
        return _between(schedule.warmup_start_factor, 1, done / warmup)
    done -= warmup
    match schedule.name:
        case "step":
            return float(schedule.gamma ** (done // schedule.step_size))
        case "exponential":
            return _between(schedule.min_lr_factor, 1, schedule.gamma**done)
        case "cosine":
            return _half_cosine(1, schedule.min_lr_factor, done / (epochs - warmup))
        case "constant":
            return 1.0


def _one_cycle(share: float, end: float) -> float:
    if share < ONE_CYCLE_PEAK:
        return _half_cosine(ONE_CYCLE_START, 1, share / ONE_CYCLE_PEAK)
    return _half_cosine(1, end, (share - ONE_CYCLE_PEAK) / (1 - ONE_CYCLE_PEAK))


def _half_cosine(start: float, end: float, share: float) -> float:
    return _between(end, start, (1 + cos(pi * share)) / 2)


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
