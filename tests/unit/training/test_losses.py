"""Losses equal those of torch and torchvision and their definitions in float64; properties of all losses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchvision.ops import sigmoid_focal_loss

from melanoma.common.errors import InputError
from melanoma.config.optimization import Loss
from melanoma.training.losses import build_loss, diagnosis_loss

LABELS = np.array([1] * 3 + [0] * 12)
LOGITS = torch.linspace(-12, 12, 49)
HARD = (torch.arange(49) % 3 == 0).float()
SOFT = torch.linspace(0, 1, 49)


losses = st.builds(
    Loss,
    name=st.sampled_from(["bce", "weighted_bce", "focal"]),
    label_smoothing=st.sampled_from([0, 0.05, 0.3]),
    positive_weight=st.none() | st.floats(0.1, 100),
    gamma=st.sampled_from([0, 0.5, 1, 2.0, 5]),
    alpha=st.none() | st.floats(0.05, 0.95),
)


def by_definition(logit: float, target: float, made: Loss) -> float:
    """Return the loss as the papers write it, in float64 and for logits near 0 alone."""
    p = 1 / (1 + math.exp(-logit))
    target = target * (1 - made.label_smoothing) + made.label_smoothing / 2
    of_melanoma, of_benign = -math.log(p), -math.log(1 - p)
    if made.name == "weighted_bce":
        of_melanoma *= 12 / 3 if made.positive_weight is None else made.positive_weight
    elif made.name == "focal":
        of_melanoma *= (1 - p) ** made.gamma * (1 if made.alpha is None else made.alpha)
        of_benign *= p**made.gamma * (1 if made.alpha is None else 1 - made.alpha)
    return target * of_melanoma + (1 - target) * of_benign


@given(made=losses, logit=st.floats(-8, 8), target=st.sampled_from([0, 0.3, 1]))
def test_every_loss_is_its_definition(made, logit, target):
    found = build_loss(made, LABELS)(torch.tensor([logit]), torch.tensor([target])).item()
    assert found == pytest.approx(by_definition(logit, target, made), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_bce_is_torchs_to_the_bit(targets):
    expected = binary_cross_entropy_with_logits(LOGITS, targets, reduction="none")
    assert torch.equal(build_loss(Loss(), LABELS)(LOGITS, targets), expected)


@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_weighted_bce_is_torchs_with_the_training_images_benign_for_each_melanoma(targets):
    expected = binary_cross_entropy_with_logits(LOGITS, targets, pos_weight=torch.tensor(4.0), reduction="none")
    torch.testing.assert_close(build_loss(Loss(name="weighted_bce"), LABELS)(LOGITS, targets), expected)


@pytest.mark.parametrize("alpha", [0.25, None])
@pytest.mark.parametrize("gamma", [0, 1, 2.5])
def test_focal_loss_is_torchvisions(alpha, gamma):
    expected = sigmoid_focal_loss(LOGITS.double(), HARD.double(), alpha=-1 if alpha is None else alpha, gamma=gamma)
    found = build_loss(Loss(name="focal", alpha=alpha, gamma=gamma), LABELS)(LOGITS, HARD)
    torch.testing.assert_close(found.double(), expected, atol=1e-9, rtol=1e-5)


def test_smoothed_bce_is_that_of_the_targets_moved_towards_one_half():
    expected = binary_cross_entropy_with_logits(LOGITS, HARD * 0.95 + 0.025, reduction="none")
    torch.testing.assert_close(build_loss(Loss(label_smoothing=0.05), LABELS)(LOGITS, HARD), expected)


@given(made=losses, target=st.floats(0, 1))
def test_the_loss_of_a_soft_target_is_the_mean_of_the_losses_of_its_labels(made, target):
    loss = build_loss(made, LABELS)
    benign, melanoma, mixed = (loss(LOGITS, torch.full_like(LOGITS, value)) for value in (0, 1, target))
    torch.testing.assert_close(mixed, target * melanoma + (1 - target) * benign, rtol=1e-4, atol=1e-5)


@given(made=losses)
def test_losses_and_gradients_are_finite_and_none_is_negative_at_any_logit(made):
    logits = torch.tensor([-1e30, -1e4, -105, -88, -30, 0, 30, 88, 105, 1e4, 1e30], requires_grad=True)
    for target in (0, 0.5, 1):
        found = build_loss(made, LABELS)(logits, torch.full_like(logits, target))
        (gradient,) = torch.autograd.grad(found.sum(), logits)
        assert (found >= 0).all() and found.isfinite().all() and gradient.isfinite().all()


@given(made=losses)
def test_gradients_are_those_of_finite_differences(made):
    logits, targets = torch.linspace(-6, 6, 25, requires_grad=True), torch.linspace(0, 1, 25)
    (gradient,) = torch.autograd.grad(build_loss(made, LABELS)(logits, targets).sum(), logits)
    pairs = zip(logits.tolist(), targets.tolist(), strict=True)
    step = 1e-5
    expected = [(by_definition(x + step, y, made) - by_definition(x - step, y, made)) / 2 / step for x, y in pairs]
    torch.testing.assert_close(gradient, torch.tensor(expected), rtol=1e-3, atol=1e-4)


@given(made=losses)
def test_there_is_one_loss_in_float32_for_each_image_at_any_precision(made):
    found = build_loss(made, LABELS)(LOGITS.bfloat16(), HARD.double())
    assert found.shape == LOGITS.shape and found.dtype == torch.float32


def test_the_default_weight_of_images_without_a_melanoma_is_an_error():
    with pytest.raises(InputError, match="none of the 4 training images is a melanoma; give a number"):
        build_loss(Loss(name="weighted_bce"), np.zeros(4, int))
    build_loss(Loss(name="weighted_bce", positive_weight=3), np.zeros(4, int))


def test_the_diagnosis_is_evaluated_by_cross_entropy_and_only_where_there_is_one():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    classes = torch.tensor([2, -1, 0, 3, -1])
    found = diagnosis_loss(logits, classes)
    known = classes >= 0
    torch.testing.assert_close(found[known], cross_entropy(logits[known], classes[known], reduction="none"))
    assert (found[~known] == 0).all() and found.dtype == torch.float32
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert (gradient[~known] == 0).all() and (gradient[known] != 0).all()


def test_the_auxiliary_loss_of_a_batch_without_diagnoses_is_0():
    assert diagnosis_loss(torch.ones(3, 2).bfloat16(), torch.full((3,), -1)).tolist() == [0, 0, 0]
