"""Values that are read later are the values."""

import torch

from melanoma.device.readback import Readback


def test_the_values_come_without_their_gradient():
    values = torch.arange(3.0, requires_grad=True) * 2
    read = Readback(values).read()
    assert read.tolist() == [0, 2, 4] and not read.requires_grad
