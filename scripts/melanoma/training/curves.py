"""The figures of each epoch, in the log and as TensorBoard's curves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from melanoma.common.cli import log
from melanoma.training.early_stopping import EpochRow


@contextmanager
def curves(folder: Path | None, epoch: int) -> Iterator[SummaryWriter | None]:
    """Write TensorBoard's curves to `folder` from `epoch` on, and hide what an earlier process wrote of later epochs.

    Without a folder there is no writer.
    """
    if folder is None:
        yield None
        return
    writer = SummaryWriter(folder, purge_step=epoch + 1)
    try:
        yield writer
    finally:
        writer.close()


def report_epoch(row: EpochRow, epochs: int, writer: SummaryWriter | None) -> None:
    """Report the figures of one of `epochs` epochs."""
    figures = {name: value for name, value in row.items() if isinstance(value, float)}
    log.info(
        "epoch %d of %d: %s",
        row["epoch"],
        epochs,
        ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()),
    )
    if writer is not None:
        for name, value in figures.items():
            writer.add_scalar(name, value, row["epoch"])
        writer.flush()
