"""A lack of memory is known by what torch and its libraries say."""

import pytest
import torch

from melanoma.compute.device import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_a_lack_of_memory_is_known(error):
    assert is_out_of_memory(error)


def test_a_tensor_that_no_machine_can_hold_is_a_lack_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


def test_another_error_is_none():
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
