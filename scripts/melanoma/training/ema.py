"""The exponential moving average of the weights of a network over the steps of its training."""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from melanoma.models.classifier import Classifier


class WeightAverage(AveragedModel):
    """torch's average of the parameters and buffers of a network, in `module`, with a decay that grows at first.

    In step t the average keeps the share min(decay, (1 + t) / (10 + t)) of its value, as in TensorFlow. So it soon
    forgets the initial weights. The network must have no wrapper, such as that of torch.compile.
    """

    module: Classifier

    def __init__(self, network: Classifier, decay: float) -> None:
        super().__init__(network, use_buffers=True)
        self.decay = decay
        self.update_parameters(network)  # The first call only copies.

    def update(self, network: Classifier, step: int) -> None:
        """Add the weights of `network` after optimizer step `step`, counted from 1."""
        # torch would pass the step as a tensor, and reading that would wait for the GPU in each step.
        decay = min(self.decay, (1 + step) / (10 + step))
        self.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch lacks its types
        self.update_parameters(network)
