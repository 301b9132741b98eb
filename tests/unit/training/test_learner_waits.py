"""No step waits for its GPU. This is checked on tensors without values that say that they are on a GPU.

The backward pass of such tensors needs a GPU. test_graphs.py records it, and a recording forbids waiting.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import tiny
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.training import learner as module
from melanoma.training.learner import Learner
from melanoma.training.loader import DeviceBatch, EpochBatches, Examples

GPU = torch.device("cuda", 0)
RECIPES = [{"ema": 0.9, "optimizer": {"max_grad_norm": 0.1}, "dropout": 0.5}, {"optimizer": {"name": "sgd"}}]


class NoCopies(TorchDispatchMode):
    """Forbids copies between host and GPU. A value that Python reads is an error of tensors without values."""

    def __torch_dispatch__(self, kernel, types, args=(), kwargs=None):
        result = kernel(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        if "copy" in str(kernel) and len({tensor.device.type for tensor in tensors}) > 1:
            raise RuntimeError(f"{kernel} between host and GPU")
        return result


@pytest.fixture
def examples(tmp_path):
    rows = tiny.table(20)
    return Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), None)


def step(examples, recipe, monkeypatch, change=lambda learner: None) -> Learner:
    """Take a step of a learner on a GPU that records nothing. The batch is on the GPU."""

    def on_gpu(part, device) -> DeviceBatch:
        count, side = len(part), examples.output_size
        sizes = (count, 3, side, side), (count, examples.metadata.shape[1]), (count,)
        return DeviceBatch(
            *(torch.zeros(size, device=device) for size in sizes), torch.zeros(count, device=device).long()
        )

    def add_gradients(learner, inputs, images) -> torch.Tensor:
        losses, logits = learner._losses(DeviceBatch._make(inputs))
        for parameter in learner.network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return torch.cat([losses.detach().sum()[None], logits.detach()])

    monkeypatch.setattr(module, "to_device", on_gpu)
    monkeypatch.setattr(Learner, "_add_gradients", add_gradients)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(Learner, "_recorder", lambda self: None)
    # Modules of such tensors cannot be moved, so they start on the GPU. An average starts as a copy.
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *args, **kwargs: self)
    monkeypatch.setattr(torch.optim.swa_utils.AveragedModel, "update_parameters", lambda self, network: None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with GPU:
            learner = Learner(recipe, examples, 0, GPU, Processes())
        learner.update_graph = module.UpdateGraph(learner._changing, None, GPU)
        learner.update_graph._first_call = lambda call: call() or call
        change(learner)
        learner.start_epoch(0)
        batches = EpochBatches(examples, recipe, 0)
        batch = batches[0]
        with NoCopies():
            loss, logits = learner.learn(batch, len(batch), 1, 0)
    assert loss.device == logits.device == GPU
    return learner


@pytest.mark.parametrize("changes", RECIPES)
def test_no_part_of_a_step_waits_for_the_gpu(examples, monkeypatch, changes):
    learner = step(examples, tiny.recipe(gradient_accumulation_steps=2, **changes), monkeypatch)
    assert all(group["fused"] for group in learner.optimizer.param_groups)
    assert {value.device for state in learner.optimizer.state.values() for value in state.values()} == {GPU}


@pytest.mark.parametrize("wait", [lambda share: share.item(), lambda share: share.cpu()])
def test_a_wait_in_a_step_is_noticed(examples, monkeypatch, wait):
    def add_wait(learner):
        learner._update = lambda share, update=learner._update: update(share) or wait(share)

    with pytest.raises(RuntimeError, match=r"_local_scalar_dense|between host and GPU"):
        step(examples, tiny.recipe(**RECIPES[0]), monkeypatch, add_wait)
