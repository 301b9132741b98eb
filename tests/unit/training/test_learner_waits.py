"""A step never waits for its device: Python reads no value of a tensor, and copies none to or from the device.

It is checked on the CPU, by the functions of torch that a step calls.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode

import tiny
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.training import learner as module
from melanoma.training.learner import Learner
from melanoma.training.loader import EpochBatches, Examples, to_device
from recorded_calls import Recorder
from small_training import fuse_optimizers

CPU = torch.device("cpu")
WAITS = {
    *(getattr(torch.Tensor, name) for name in ("item", "tolist", "numpy", "cpu", "new_tensor", "nonzero")),
    *(getattr(torch.Tensor, f"__{name}__") for name in ("bool", "int", "float", "index")),
    *(getattr(torch, name) for name in ("tensor", "as_tensor", "nonzero", "equal", "allclose")),
}
RECIPES = [
    {"ema": 0.9, "optimizer": {"max_grad_norm": 0.1}, "dropout": 0.5, "gradient_accumulation_steps": 2},
    {"optimizer": {"name": "sgd"}, "aux_loss_weight": 0.5},
]


class NoWaits(TorchFunctionMode):
    """Forbids to wait for a device in the body of a `with`."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in WAITS:
            raise AssertionError(f"{function.__name__} waits for the device")
        return function(*args, **(kwargs or {}))


def cannot(call):
    raise RuntimeError("nothing can be recorded")


@pytest.fixture
def second_step(tmp_path, monkeypatch):
    """Return a function that takes two steps, after the first of which a step must not wait."""
    rows = tiny.table(20)
    examples = Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), None)
    fuse_optimizers(monkeypatch)

    def start(recipe, record, wait=lambda share: None) -> None:
        learner = Learner(recipe, examples, 2 if recipe.aux_loss_weight else 0, CPU, Processes())
        learner._recorder = lambda: record
        learner.start_recordings(record)
        learner._update = lambda share, update=learner._update: update(share) or wait(share)
        learner.start_epoch(0)
        batch = EpochBatches(examples, recipe, 0)[0]
        parts = {len(part): to_device(part, CPU) for part in batch.parts(recipe.gradient_accumulation_steps)}
        monkeypatch.setattr(module, "to_device", lambda part, device: parts[len(part)])
        learner.learn(batch, len(batch), 1, 0)
        with NoWaits():
            learner.learn(batch, len(batch), 2, 0)

    return start


@pytest.mark.parametrize("record", [Recorder(), cannot])
@pytest.mark.parametrize("changes", RECIPES)
def test_neither_a_recorded_step_nor_a_plain_one_waits(second_step, changes, record):
    second_step(tiny.recipe(**changes), record)


@pytest.mark.parametrize("wait", [torch.Tensor.item, float, torch.Tensor.cpu, lambda share: share.new_tensor(1)])
def test_a_wait_in_a_step_is_noticed(second_step, wait):
    with pytest.raises(AssertionError, match="waits for the device"):
        second_step(tiny.recipe(), cannot, wait)
