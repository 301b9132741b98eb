"""Batches that threads load ahead: the same ones, in the same order, whatever happens to one of them."""

import threading

import pytest
import torch

from melanoma.training.loader import Batch
from melanoma.training.prefetch import AHEAD_OF_EACH_THREAD, Prefetch


class Numbered:
    """Batches whose target is their number. `loaded` has the numbers in the order in which they were asked for."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken, self.loaded, self.threads = broken, [], set()

    def __getitem__(self, number: int) -> Batch:
        if number == self.broken:
            raise ValueError(f"batch {number} cannot be read")
        self.loaded.append(number)
        self.threads.add(threading.current_thread().name)
        empty = torch.zeros(0)
        return Batch(None, empty, empty, [], empty, torch.tensor([number]), empty)


def numbers_of(stream):
    return [int(batch.targets[0]) for batch in stream]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_all_batches_come_in_order_for_any_number_of_threads(threads):
    with Prefetch(threads, pinned=False) as prefetch:
        assert numbers_of(prefetch.stream(Numbered(), range(3, 40))) == list(range(3, 40))
        assert numbers_of(prefetch.stream(Numbered(), [])) == []


def test_two_streams_share_the_same_threads():
    first, second = Numbered(), Numbered()
    with Prefetch(2, pinned=False) as prefetch:
        streams = prefetch.stream(first, range(20)), prefetch.stream(second, range(20))
        assert [numbers_of(stream) for stream in streams] == [list(range(20))] * 2
    assert len(first.threads | second.threads) <= 2
    assert not any(name.startswith("MainThread") for name in first.threads)


def test_the_first_batches_are_loaded_before_they_are_asked_for_and_no_more():
    batches = Numbered()
    prefetch = Prefetch(2, pinned=False)
    prefetch.stream(batches, range(100))
    prefetch.pool.shutdown(wait=True)
    assert sorted(batches.loaded) == list(range(2 * AHEAD_OF_EACH_THREAD))


def test_without_threads_nothing_is_loaded_ahead():
    batches = Numbered()
    stream = Prefetch(0, pinned=False).stream(batches, range(100))
    next(stream)
    assert batches.loaded == [0]


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_in_a_batch_is_raised_in_its_place(threads):
    with Prefetch(threads, pinned=False) as prefetch:
        stream = prefetch.stream(Numbered(broken=5), range(20))
        assert [int(next(stream).targets[0]) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="batch 5 cannot be read"):
            next(stream)


def test_leaving_the_context_ends_the_threads_though_batches_are_left():
    with Prefetch(2, pinned=False) as prefetch:
        next(prefetch.stream(Numbered(), range(10_000)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
