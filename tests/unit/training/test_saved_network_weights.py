"""Weights survive safetensors to the bit, and the file runs no code."""

import math

import pytest
import torch

from melanoma.common.errors import InputError
from melanoma.training.saved_network import from_safetensors, to_safetensors

TRAINED = {
    "recipe": {"network": "baseline_cnn", "optimizer": {"learning_rate": 0.1 + 0.2}},
    "encoder": {"age_mean": math.pi, "age_deviation": 1e-300, "sexes": ["female"], "sites": []},
    "size": 64,
    "images": None,
    "diagnoses": [],
    "trained_prevalence": 1 / 3,
    "epoch": 3,
    "fold": None,
    "weights": {
        "convolution": torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1)).to(
            memory_format=torch.channels_last
        ),
        "batches": torch.tensor(7),
        "half": torch.ones(3, dtype=torch.bfloat16),
    },
}


def test_a_trained_network_comes_back_to_the_bit():
    read = from_safetensors(to_safetensors(TRAINED), "refit.safetensors")
    assert {name: value for name, value in read.items() if name != "weights"} == {
        name: value for name, value in TRAINED.items() if name != "weights"
    }
    assert read["weights"].keys() == TRAINED["weights"].keys()
    for name, tensor in TRAINED["weights"].items():
        assert read["weights"][name].dtype == tensor.dtype
        assert torch.equal(read["weights"][name], tensor)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04pickle", to_safetensors(TRAINED)[:-1], to_safetensors(TRAINED)[:40]], ids=len
)
def test_another_file_is_refused_by_its_name(data):
    with pytest.raises(InputError, match=r"models/cnn/refit.safetensors: (not the weights|it is not what)"):
        from_safetensors(data, "models/cnn/refit.safetensors")
