"""Schedules equal those of torch step by step and the published ones in closed form; properties of all schedules."""

import subprocess
import sys
from math import ceil, inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

import tiny
from melanoma.config.optimization import Schedule
from melanoma.training.schedules import rate_factor
from project import SCRIPTS

NAMES = ("step", "cosine", "1cycle", "exponential", "constant")
BATCHES = 7


def schedule(name: str, **changes) -> Schedule:
    return Schedule(name=name, **changes)


def by_epoch(settings: Schedule, epochs: int) -> list[float]:
    return [rate_factor(settings, epochs, epoch) for epoch in range(epochs)]


def by_batch(settings: Schedule, epochs: int) -> list[float]:
    steps = range(epochs * BATCHES)
    return [rate_factor(settings.model_copy(update={"per": "batch"}), epochs, step / BATCHES) for step in steps]


def stepped(make, count: int) -> list[float]:
    """Return the rates that a scheduler of torch gives to `count` steps of an optimizer whose rate is 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


schedules = st.builds(
    Schedule,
    name=st.sampled_from(NAMES),
    per=st.sampled_from(["epoch", "batch"]),
    gamma=st.floats(0.001, 1),
    step_size=st.integers(1, 5),
    warmup_epochs=st.just(0.0) | st.floats(0.01, 2.9),
    warmup_start_factor=st.floats(0, 1),
    min_lr_factor=st.floats(0, 1),
)
two_shares = st.tuples(st.floats(0, 1), st.floats(0, 1))


@pytest.mark.parametrize("step_size", [1, 3])
def test_step_is_torchs(step_size):
    expected = stepped(lambda optimizer: lr_scheduler.StepLR(optimizer, step_size, gamma=0.1), 12)
    assert by_epoch(schedule("step", gamma=0.1, step_size=step_size), 12) == pytest.approx(expected)


@pytest.mark.parametrize("min_lr_factor", [0, 0.01])
def test_cosine_is_torchs_by_epoch_and_by_batch(min_lr_factor):
    expected = stepped(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 10, eta_min=min_lr_factor), 10)
    assert by_epoch(schedule("cosine", min_lr_factor=min_lr_factor), 10) == pytest.approx(expected)
    steps = 10 * BATCHES
    expected = stepped(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=min_lr_factor), steps)
    assert by_batch(schedule("cosine", min_lr_factor=min_lr_factor), 10) == pytest.approx(expected)


def test_exponential_is_torchs():
    expected = stepped(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.3), 8)
    assert by_epoch(schedule("exponential", gamma=0.3), 8) == pytest.approx(expected)


@pytest.mark.parametrize("min_lr_factor", [0, 0.001])
def test_1cycle_is_torchs(min_lr_factor):
    """torch peaks a step before 30 % of the steps and takes its last at the floor; here the floor comes after it."""
    steps = 10 * BATCHES

    def make(optimizer):
        return lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=steps + 1,
            pct_start=(0.3 * steps + 1) / (steps + 1),
            div_factor=25,
            final_div_factor=1 / 25 / min_lr_factor if min_lr_factor else inf,
        )

    assert by_batch(schedule("1cycle", min_lr_factor=min_lr_factor), 10) == pytest.approx(stepped(make, steps))


def test_warmup_is_torchs():
    expected = stepped(lambda optimizer: lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5), 12)
    assert by_epoch(schedule("constant", warmup_epochs=5, warmup_start_factor=0.1), 12) == pytest.approx(expected)


def test_warmup_and_then_cosine_is_torchs():
    def make(optimizer):
        warmup = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=2 * BATCHES)
        cosine = lr_scheduler.CosineAnnealingLR(optimizer, 8 * BATCHES)
        return lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[2 * BATCHES])

    expected = stepped(make, 10 * BATCHES)
    assert by_batch(schedule("cosine", warmup_epochs=2, warmup_start_factor=0.01), 10) == pytest.approx(expected)


def test_the_schedule_of_the_efficientnet_ensemble():
    """Five epochs from 5e-6 up to 3e-6 x batch, then x .3 per epoch towards 1e-6, as its notebook computes it."""
    most, least, start = 3e-6 * 256, 1e-6, 5e-6
    settings = schedule(
        "exponential", gamma=0.3, warmup_epochs=5, warmup_start_factor=start / most, min_lr_factor=least / most
    )
    ramp = [start + (most - start) / 5 * epoch for epoch in range(5)]
    decay = [least + (most - least) * 0.3**epoch for epoch in range(5)]
    assert [most * factor for factor in by_epoch(settings, 10)] == pytest.approx(ramp + decay)


def test_the_schedules_of_the_two_network_ensemble():
    assert by_epoch(schedule("step", gamma=0.5), 11) == [0.5**epoch for epoch in range(11)]
    assert by_epoch(schedule("step", gamma=0.1), 12) == [0.1**epoch for epoch in range(12)]


@pytest.mark.parametrize("name", ["cosine", "1cycle"])
def test_min_lr_factor_is_reached_only_at_the_end_of_the_last_epoch(name):
    settings = schedule(name, min_lr_factor=0.01)
    assert rate_factor(settings, 10, 10) == pytest.approx(0.01)
    assert by_epoch(settings, 10)[-1] > 0.02


@given(settings=schedules, epochs=st.integers(3, 30), share=st.floats(0, 1))
def test_a_factor_is_between_0_and_1(settings, epochs, share):
    assert 0 <= rate_factor(settings, epochs, share * epochs) <= 1


@given(settings=schedules, epochs=st.integers(3, 30), share=st.floats(0, 1))
def test_by_epoch_it_is_constant_within_an_epoch(settings, epochs, share):
    settings = settings.model_copy(update={"per": "epoch"})
    assert rate_factor(settings, epochs, share * epochs) == rate_factor(settings, epochs, int(share * epochs))


@given(settings=schedules, epochs=st.integers(3, 30), epoch=st.integers(0, 30))
def test_by_batch_an_epoch_begins_as_it_does_by_epoch(settings, epochs, epoch):
    epoch = min(epoch, epochs)
    by_batches, by_epochs = (settings.model_copy(update={"per": per}) for per in ("batch", "epoch"))
    assert rate_factor(by_batches, epochs, epoch) == rate_factor(by_epochs, epochs, epoch)


@given(settings=schedules, epochs=st.integers(3, 30), share=st.floats(0, 1))
def test_by_batch_all_but_step_are_continuous(settings, epochs, share):
    """No slope is steeper than that of the shortest warm-up, of 1cycle's, or of the steepest decay."""
    name = "cosine" if settings.name == "step" else settings.name
    settings = settings.model_copy(update={"name": name, "per": "batch"})
    step = 1e-6
    before, after = (rate_factor(settings, epochs, min(share * epochs + move, epochs)) for move in (0, step))
    assert abs(after - before) <= 110 * step


@given(settings=schedules, epochs=st.integers(3, 30), shares=two_shares)
def test_in_warmup_the_rate_never_falls(settings, epochs, shares):
    settings = settings.model_copy(update={"name": "cosine" if settings.name == "1cycle" else settings.name})
    early, late = (rate_factor(settings, epochs, share * settings.warmup_epochs) for share in sorted(shares))
    assert early <= late


@given(settings=schedules, epochs=st.integers(3, 30), shares=two_shares)
def test_after_warmup_the_rate_never_grows(settings, epochs, shares):
    start = ceil(0.3 * epochs if settings.name == "1cycle" else settings.warmup_epochs)
    early, late = (rate_factor(settings, epochs, start + share * (epochs - start)) for share in sorted(shares))
    assert late <= early + 1e-12


@pytest.mark.parametrize("epochs", [1, 2, 5, 20, 200])
def test_the_default_schedule_suits_any_number_of_epochs(epochs):
    rates = by_epoch(tiny.recipe(epochs=epochs).schedule, epochs)
    assert rates[0] == 1 and rates == sorted(rates, reverse=True) and rates[-1] > 0
    assert sum(rate >= 0.499 for rate in rates) >= epochs / 2


def test_schedules_and_histories_do_not_import_torch():
    code = "import sys, melanoma.training.schedules, melanoma.training.early_stopping; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=True)
