"""Images that several devices hold together: each goes once to each device that needs it."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import tiny
from melanoma.compute.distributed import Processes
from melanoma.device.sharded import ShardedImages
from melanoma.images.store import ImageStore

ROWS = np.arange(1, 20, 2)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_each_process_gets_the_images_that_it_needs_in_their_order_and_each_once(tmp_path, count, size):
    store = ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(20)))
    shards = [ShardedImages.load(store, ROWS, torch.device("cpu"), Processes(rank, count)) for rank in range(count)]
    assert max(len(shard.pixels) for shard in shards) == -(-len(ROWS) // count)
    assert sum(len(shard.pixels) for shard in shards) == len(ROWS)
    draw = np.random.default_rng(size)
    needed = [draw.choice(ROWS, size + rank) for rank in range(count)]  # some repeat
    plans = [shard.exchange(needed) for shard in shards]
    parts = []
    for shard, (numbers, plan) in zip(shards, plans, strict=True):
        images, ends = shard.pixels[torch.from_numpy(numbers)], np.cumsum([0, *plan.sent])
        parts.append([images[start:end] for start, end in pairwise(ends)])
    for rank, (_, plan) in enumerate(plans):
        received = [parts[sender][rank] for sender in range(count)]
        assert [len(images) for images in received] == plan.received
        assert sum(plan.received) == len(np.unique(needed[rank]))
        np.testing.assert_array_equal(torch.cat(received)[plan.places].numpy(), store.read(needed[rank]))
