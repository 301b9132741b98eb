"""A step from recordings is the step itself: here a recording starts the kernels again, as a CUDA graph does."""

import gc
import io
import logging
import weakref

import numpy as np
import pytest
import torch

import tiny
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.graphs import UpdateGraph
from melanoma.training.learner import Learner
from melanoma.training.loader import EpochBatches, Examples, diagnosis_classes
from melanoma.training.optimizer import create_state
from recorded_calls import Recorder
from small_training import freeze_first_epoch, fuse_optimizers

CPU = torch.device("cpu")
torch.set_num_threads(1)


# Learning rates that are the same number in float32, which a GPU reads, and in float64.
RATE = {"learning_rate": 2**-8}
SCHEDULE = {"name": "step", "gamma": 0.5}
GROUPS = [{"match": "^last", "learning_rate": 2**-6}]
RECIPES = {
    "adam": {},
    "parts, clipping, average": {"gradient_accumulation_steps": 3, "optimizer": {"max_grad_norm": 0.1}, "ema": 0.9},
    "adamw, groups": {"optimizer": {"name": "adamw", "weight_decay": 0.1, "groups": GROUPS}},
    "sgd, dropout": {"optimizer": {"name": "sgd", "momentum": 0.9}, "dropout": 0.5, "multi_sample_dropout": 2},
    "sgd without momentum": {"optimizer": {"name": "sgd", "momentum": 0}},
    "auxiliary loss, metadata": {"aux_loss_weight": 0.5, "head": "image_and_metadata"},
    "metadata alone": {"network": "metadata_mlp"},
}


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    fuse_optimizers(monkeypatch)


@pytest.fixture
def examples(tmp_path):
    rows = tiny.table(51)
    images = tiny.write_store(tmp_path / "images.h5", rows)
    return Examples.of(rows, MetadataEncoder.fit(rows), images, None, diagnosis_classes(rows))


def learner(examples, recipe, record=None) -> Learner:
    """Return a learner whose step is recorded if `record` is given."""
    made = Learner(recipe, examples, 2 if recipe.aux_loss_weight else 0, CPU, Processes())
    made._recorder = lambda: record
    made.start_recordings(record)
    return made


def trained(made: Learner, examples, epochs=range(2)) -> list[torch.Tensor]:
    """Train on batches of 8 and 9 images; return the loss and the logits of each step, and all weights and states."""
    losses = []
    for epoch in epochs:
        made.start_epoch(epoch)
        batches = EpochBatches(examples, made.recipe, epoch)
        for number in range(len(batches)):
            step = epoch * len(batches) + number + 1
            learned = made.learn(batches[number], batches.global_sizes[number], step, epoch)
            losses += [tensor.clone() for tensor in learned]
    state = made.state_dict()
    moments = [value for _, values in sorted(state["optimizer"]["state"].items()) for value in values.values()]
    return [*losses, *state["network"].values(), *(state["average"] or {}).values(), *moments]


def same(expected, found) -> bool:
    return len(expected) == len(found) and all(map(torch.equal, expected, found))


def recipe_of(name):
    changes = RECIPES[name]
    return tiny.recipe(batch_size=9, schedule=SCHEDULE, **changes | {"optimizer": RATE | changes.get("optimizer", {})})


@pytest.mark.parametrize("name", RECIPES)
def test_steps_from_recordings_give_the_same_bits(examples, name, caplog):
    recipe, record = recipe_of(name), Recorder()
    expected = trained(learner(examples, recipe), examples)
    assert same(expected, trained(learner(examples, recipe, record), examples))
    sizes = set(EpochBatches(examples, recipe, 0).global_sizes)
    assert sizes == {8, 9}
    # The update has one recording. 9 images are in parts of 3; 8 in parts of 2 and 3.
    assert record.count == 1 + (3 if recipe.gradient_accumulation_steps > 1 else 2)
    assert not caplog.records


def test_after_the_first_steps_python_runs_no_part_of_a_step(examples, monkeypatch):
    made = learner(examples, recipe_of("parts, clipping, average"), Recorder())
    trained(made, examples, epochs=range(1))
    monkeypatch.setattr(made, "_add_gradients", None)
    monkeypatch.setattr(made, "_update", None)
    trained(made, examples, epochs=range(1, 2))


@pytest.mark.parametrize("name", ["adam", "sgd, dropout"])
def test_a_backbone_that_is_released_is_recorded_again(examples, monkeypatch, name):
    recipe, record = recipe_of(name), Recorder()
    freeze_first_epoch(monkeypatch)
    plain = learner(examples, recipe)
    create_state(plain.optimizer)
    expected = trained(plain, examples, epochs=range(3))
    assert same(expected, trained(learner(examples, recipe, record), examples, epochs=range(3)))
    assert record.count == 6


@pytest.mark.parametrize("recorded", [False, True])
def test_a_checkpoint_continues_with_and_without_recordings(examples, recorded):
    recipe = recipe_of("parts, clipping, average")
    whole = trained(learner(examples, recipe), examples, epochs=range(3))
    first = learner(examples, recipe, Recorder() if recorded else None)
    trained(first, examples, epochs=range(2))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = learner(examples, recipe, None if recorded else Recorder())
    trained(second, examples, epochs=range(1))  # its recordings and its state are those of another position
    state = torch.load(file, weights_only=True)
    assert [(group["lr"], group["capturable"]) for group in state["optimizer"]["param_groups"]] == [(2**-9, False)]
    second.load_state_dict(state)
    rest = trained(second, examples, epochs=range(2, 3))
    assert same(whole[-len(rest) :], rest)


@pytest.mark.parametrize(("fails", "part"), [(1, "the gradients"), (2, "the update of the weights")])
def test_a_part_of_the_step_that_cannot_be_recorded_is_done_as_it_is(examples, caplog, fails, part):
    recipe, record = recipe_of("sgd, dropout"), Recorder(RuntimeError("operation not permitted"), fails)
    found = trained(learner(examples, recipe, record), examples)
    assert same(trained(learner(examples, recipe), examples), found)
    assert record.count == (2 if fails == 1 else 3)
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith(f"no CUDA graph of {part}") and message.endswith("operation not permitted")


def test_a_step_that_reads_a_number_from_the_device_cannot_be_recorded(examples, caplog, monkeypatch):
    made = learner(examples, recipe_of("adam"), Recorder())
    monkeypatch.setattr(made, "_update", lambda share, update=made._update: share.item() and update(share))
    trained(made, examples, epochs=range(1))
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith("no CUDA graph of the update of the weights") and "_local_scalar_dense" in message


@pytest.mark.parametrize("part", ["the gradients", "the update of the weights"])
def test_a_recording_with_another_effect_is_not_used(examples, caplog, part):
    recipe = recipe_of("sgd, dropout")
    made = learner(examples, recipe)
    weight = next(made.network.parameters())

    def record(call):
        replay = Recorder()(call)

        def other() -> None:
            replay()
            if part == "the gradients":
                weight.grad.mul_(1.5)
            else:
                weight.detach().mul_(1 + 1e-6)

        return other

    made._recorder = lambda: record
    made.start_recordings(record)
    if part == "the update of the weights":
        made.graphs.record = Recorder()
    assert same(trained(learner(examples, recipe), examples), trained(made, examples))
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith(f"no CUDA graph of {part}") and "of the step itself" in message


@pytest.mark.parametrize(
    ("fails", "part"), [(1, "the gradients"), (2, "the update of the weights"), (3, "the gradients")]
)
def test_where_memory_is_missing_for_a_recording_the_step_is_done_as_it_is(examples, caplog, fails, part):
    """A graph keeps its memory, so a step that fits may have no memory for a recording."""
    recipe, record = recipe_of("sgd, dropout"), Recorder(torch.OutOfMemoryError("CUDA out of memory"), fails)
    assert same(trained(learner(examples, recipe), examples), trained(learner(examples, recipe, record), examples))
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith(f"no CUDA graph of {part}") and message.endswith("CUDA out of memory")


def test_a_step_is_recorded_only_where_its_recording_leaves_memory_for_the_step_itself(examples, caplog):
    """Otherwise memory would be missing later: for a batch of another size, or for validation."""
    recipe = recipe_of("sgd, dropout")
    made, recorded = learner(examples, recipe), []

    def record(call):
        recorded.append(Recorder()(call))
        return recorded[-1]

    def gradients(inputs, images, add=made._add_gradients):
        if made.graphs.is_possible and recorded:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return add(inputs, images)

    made._add_gradients = gradients
    made.start_recordings(record)
    assert same(trained(learner(examples, recipe), examples), trained(made, examples))
    (message,) = [each.getMessage() for each in caplog.records]
    assert message.startswith("no CUDA graph of the gradients") and message.endswith("CUDA out of memory")


def test_a_lack_of_memory_in_the_step_itself_is_an_error(examples, monkeypatch):
    def cannot(inputs, images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    made = learner(examples, recipe_of("adam"), Recorder())
    monkeypatch.setattr(made, "_add_gradients", cannot)
    with pytest.raises(InputError, match=r"not enough memory on the device for 8 images"):
        trained(made, examples)


def cannot_record(call):
    raise RuntimeError("operation not permitted")


@pytest.mark.parametrize("record", [Recorder(), cannot_record])
def test_a_learner_gives_its_memory_back_when_its_last_name_is_gone(examples, record):
    """A cycle of references would keep it, with its graphs, until Python looks for cycles: maybe in a recording."""
    made = learner(examples, recipe_of("sgd, dropout"), record)
    trained(made, examples, epochs=range(1))
    network = weakref.ref(made.network)
    gc.disable()
    try:
        del made
        assert network() is None
    finally:
        gc.enable()


def test_a_recorded_call_reads_its_numbers_from_memory_and_may_give_nan():
    total = torch.zeros(())
    graph = UpdateGraph(Recorder(), CPU)
    for numbers, expected in (([1.0, 2.0], 3.0), ([4.0, 0.5], 7.5), ([float("nan"), 1.0], float("nan"))):
        graph(lambda numbers: total.add_(numbers[0]).add_(numbers[1]), [total], numbers)
        assert total.item() == pytest.approx(expected, abs=0, nan_ok=True)


def test_the_cpu_records_nothing(examples, caplog):
    caplog.set_level(logging.INFO)
    made = Learner(recipe_of("adam"), examples, 0, CPU, Processes())
    assert made.graphs is None and made.update_graph is None and not made.optimizer.state and not caplog.records
    assert np.isfinite([value.sum().item() for value in trained(made, examples, epochs=range(1))]).all()
