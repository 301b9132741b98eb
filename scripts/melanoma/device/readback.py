"""Values that the host reads from a device some time after the device got the work that gives them."""

import torch
from torch import Tensor


class Readback:
    """A copy of `values` to the host that is on its way. Reading it waits for the values, and for no later work.

    `values.cpu()` waits for all work that the device has got so far, so the device would have nothing to do afterwards.
    """

    def __init__(self, values: Tensor) -> None:
        self._values, self._is_copied = values.detach(), None
        if values.is_cuda:
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values.detach(), non_blocking=True)
            self._is_copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch lacks its types
            self._is_copied.record()

    def read(self) -> Tensor:
        """Return the values on the CPU."""
        if self._is_copied is not None:
            self._is_copied.synchronize()
        return self._values
