"""Several processes train and predict as one does: the same samples, the same gradients, each image once."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import quick
import tiny
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes, convert_batch_norm, process_group
from melanoma.models.classifier import build_network
from melanoma.models.layers import batch_norms
from small_training import TinyStudy

# The first convolution has no batch norm, so cutting a batch into parts changes nothing but the order of sums.
NO_BATCH_NORM = {
    "baseline_cnn": {"channels": [8], "kernels": [3], "padding": "same", "pooling": "average", "hidden": []},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
}
# 40 training images, a quarter melanomas, over-sampled to 1:1: 60 in batches of 6 are 20 steps in two epochs.
TWENTY_STEPS = {"epochs": 2, "batch_size": 6, "checkpoint_batches": 500}


def weights(study: TinyStudy, name: str) -> dict[str, torch.Tensor]:
    return load_file(study.folder / name / "weights.safetensors")


def trained(folder, name: str, processes: int = 1, **recipe) -> tuple[TinyStudy, dict[str, torch.Tensor]]:
    folder = folder / name
    folder.mkdir()
    study = TinyStudy(folder, **(TWENTY_STEPS | recipe))
    study.train("run", processes=processes)
    return study, weights(study, "run")


def train_auroc(study: TinyStudy) -> list[float]:
    return pd.read_csv(study.folder / "run" / "history.csv")["train_auroc"].tolist()


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in expected.items():
        assert torch.allclose(found[name].double(), tensor.double(), rtol=0, atol=1e-5), name


def test_accumulation_and_several_processes_give_the_weights_of_one_process(tmp_path):
    alone, expected = trained(tmp_path, "one", **NO_BATCH_NORM)
    assert_close(trained(tmp_path, "accumulated", **NO_BATCH_NORM, gradient_accumulation_steps=3)[1], expected)
    assert_close(trained(tmp_path, "two", 2, **NO_BATCH_NORM)[1], expected)
    four, found = trained(tmp_path, "four", 4, **NO_BATCH_NORM)
    assert_close(found, expected)
    assert_close(trained(tmp_path, "both", 2, **NO_BATCH_NORM, gradient_accumulation_steps=2)[1], expected)
    # The training AUROC is that of the images of all processes. Of 900 pairs, 4 may change their order by rounding.
    assert train_auroc(four) == pytest.approx(train_auroc(alone), abs=0.005)


def test_processes_on_the_cpu_cannot_synchronize_batch_norm():
    cpu, network = torch.device("cpu"), torch.nn.BatchNorm1d(3)
    assert Processes().synchronize_batch_norm(network, cpu) is network
    with pytest.raises(InputError, match=r"2 processes on the CPU cannot.*Set sync_batchnorm to false"):
        Processes(count=2).synchronize_batch_norm(network, cpu)


@torch.no_grad()
@pytest.mark.parametrize("name", ["baseline_cnn", "timm/efficientnet_lite0"])
def test_synchronized_batch_norm_has_the_same_weights_and_keeps_the_activations_of_timm(name):
    recipe = tiny.recipe(network=name, backbone={"pretrained": False}, head="image_and_metadata")
    network = build_network(recipe, 32, 5).eval()
    images, metadata = torch.rand(2, 3, 32, 32), torch.rand(2, 5)
    expected = network(images, metadata)
    converted = convert_batch_norm(network)
    assert all(isinstance(layer, torch.nn.SyncBatchNorm) for layer in batch_norms(converted))
    torch.testing.assert_close(converted(images, metadata), expected)


def test_sharded_prediction_is_that_of_one_process_bit_for_bit(tmp_path):
    study, _ = trained(tmp_path, "one", tta={"name": "flips"})
    alone = study.predict("run")
    for processes in (2, 3):
        sharded = study.predict("run", processes)
        assert sharded.equals(alone)


def test_two_stopped_processes_continue_to_the_same_bits(tmp_path):
    study, _ = trained(tmp_path, "two", 2, checkpoint_batches=2)
    expected = weights(study, "run")
    first = [quick.start("train", *study.options("again"), "--fold", 0, environment=world) for world in quick.worlds(2)]
    while not list((study.folder / "again" / "resume").glob("step-*.pt")):
        assert all(process.is_alive() for process in first)
    first[1].terminate()
    for process in first:
        process.join()
    assert [process.exitcode for process in first] in ([75, 75], [0, 0])
    if first[0].exitcode:
        study.train("again", processes=2)
    found = weights(study, "again")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert len({(study.folder / name / "history.csv").read_text() for name in ("run", "again")}) == 1


def test_a_wrong_number_of_processes_is_an_error(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with (
        pytest.raises(
            InputError, match=r"2 node\(s\) with 4 GPU\(s\) each, so 8 processes, and there are 1.*--nnodes=2"
        ),
        process_group(gpus=4, nodes=2),
    ):
        pass


def test_one_process_shares_nothing():
    alone = Processes()
    assert alone.is_first and alone.gather("x") == ["x"]
    assert torch.equal(alone.total(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 2.0]))
