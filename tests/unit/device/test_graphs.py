"""A step from recordings is the step itself: here a recording runs the function again, as a CUDA graph would."""

import logging

import numpy as np
import pytest
import torch

import tiny
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.graphs import Recording, StepGraphs
from melanoma.training.learner import Learner
from melanoma.training.loader import EpochBatches, Examples, diagnosis_classes

CPU = torch.device("cpu")
torch.set_num_threads(1)


class Recorder:
    """Warms up by two calls, and then repeats the call into the memory of its result. `count` recordings were made."""

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.error, self.count = error, 0

    def __call__(self, call) -> Recording:
        self.count += 1
        call()
        result = call()
        if self.error is not None:
            raise self.error
        return Recording(lambda: result.copy_(call()), result)


RECIPES = {
    "adam": {},
    "parts": {"gradient_accumulation_steps": 3},
    "clipping, average": {"optimizer": {"max_grad_norm": 0.1}, "ema": 0.9},
    "sgd, dropout": {"optimizer": {"name": "sgd", "momentum": 0.9}, "dropout": 0.5, "multi_sample_dropout": 2},
    "auxiliary loss, metadata": {"aux_loss_weight": 0.5, "head": "image_and_metadata"},
    "metadata alone": {"network": "metadata_mlp"},
}


@pytest.fixture
def examples(tmp_path):
    rows = tiny.table(51)
    images = tiny.write_store(tmp_path / "images.h5", rows)
    return Examples.of(rows, MetadataEncoder.fit(rows), images, None, diagnosis_classes(rows))


def learner(examples, recipe, record=None) -> Learner:
    made = Learner(recipe, examples, 2 if recipe.aux_loss_weight else 0, CPU, Processes())
    made._graphs = lambda: record and StepGraphs(made.network, record)
    made.graphs = made._graphs()
    return made


def trained(made: Learner, examples, epochs=2) -> list[torch.Tensor]:
    """Train on batches of 8 and 9 images; return the loss and the logits of each step, and all weights and states."""
    losses, step = [], 0
    for epoch in range(epochs):
        made.start_epoch(epoch)
        batches = EpochBatches(examples, made.recipe, epoch)
        for number in range(len(batches)):
            step += 1
            learned = made.learn(batches[number], batches.global_sizes[number], step, epoch)
            losses += [tensor.clone() for tensor in learned]
    moments = [value for state in made.optimizer.state.values() for value in state.values()]
    return [*losses, *made.network.state_dict().values(), *made.evaluation_network.state_dict().values(), *moments]


def recipe_of(name):
    return tiny.recipe(batch_size=9, **RECIPES[name])


@pytest.mark.parametrize("name", RECIPES)
def test_steps_from_recordings_give_the_same_bits(examples, name):
    recipe, record = recipe_of(name), Recorder()
    expected = trained(learner(examples, recipe), examples)
    found = trained(learner(examples, recipe, record), examples)
    assert all(map(torch.equal, expected, found)) and len(expected) == len(found)
    sizes = set(EpochBatches(examples, recipe, 0).global_sizes)
    assert sizes == {8, 9}
    assert record.count == (3 if name == "parts" else 2)  # 9 in parts of 3; 8 in parts of 2 and 3


def test_a_step_that_cannot_be_recorded_is_taken_as_it_is(examples, caplog):
    recipe, record = recipe_of("sgd, dropout"), Recorder(RuntimeError("operation not permitted when recording"))
    expected = trained(learner(examples, recipe), examples)
    found = trained(learner(examples, recipe, record), examples)
    assert all(map(torch.equal, expected, found))
    assert record.count == 1
    assert caplog.text.count("no CUDA graph of the training step") == 1
    assert "operation not permitted when recording" in caplog.text


def test_a_recording_with_other_gradients_is_not_used(examples, caplog):
    recipe = recipe_of("sgd, dropout")
    made = learner(examples, recipe)

    def record(call) -> Recording:
        result = call()

        def replay() -> None:
            call()
            next(made.network.parameters()).grad.mul_(1.5)

        return Recording(replay, result)

    made._graphs = lambda: StepGraphs(made.network, record)
    made.graphs = made._graphs()
    found = trained(made, examples)
    assert all(map(torch.equal, trained(learner(examples, recipe), examples), found))
    assert "its gradients are not those of the step itself" in caplog.text


def test_a_lack_of_memory_in_a_recording_is_the_error_of_every_step(examples):
    made = learner(examples, recipe_of("adam"), Recorder(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(InputError, match=r"not enough memory on the device for 8 images"):
        trained(made, examples)


def test_a_backbone_that_is_released_is_recorded_again(examples, monkeypatch):
    recipe, record = recipe_of("adam"), Recorder()
    monkeypatch.setattr(Learner, "_is_frozen", lambda self, epoch: epoch < 1)
    monkeypatch.setattr(
        "melanoma.models.classifier.Classifier.freeze",
        lambda self, frozen: self.image.requires_grad_(not frozen),
    )
    expected = trained(learner(examples, recipe), examples, epochs=3)
    found = trained(learner(examples, recipe, record), examples, epochs=3)
    assert all(map(torch.equal, expected, found))
    assert record.count == 4


def test_the_cpu_records_nothing(examples, caplog):
    caplog.set_level(logging.INFO)
    made = Learner(recipe_of("adam"), examples, 0, CPU, Processes())
    assert made.graphs is None and not caplog.records
    assert np.isfinite([value.sum().item() for value in trained(made, examples, epochs=1)]).all()
