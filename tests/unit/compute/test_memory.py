"""Memory that torch frees is used again without new pages from the system."""

import subprocess
import sys

import pytest

from project import ROOT

# Prints how many new pages each of the last five of 30 equal tensors takes, on average. The first ones may take new
# pages, because glibc keeps a few small blocks between them.
LAST = """
import resource, torch
from melanoma.compute.memory import keep_freed_memory
{first}
for number in range(30):
    if number == 25:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensor = torch.zeros(2**24)
    del tensor
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5)
"""


def pages_of_the_last_tensors(first: str) -> int:
    run = [sys.executable, "-c", LAST.format(first=first)]
    return int(subprocess.run(run, cwd=ROOT / "scripts", check=True, capture_output=True, text=True).stdout)


@pytest.mark.large
def test_later_tensors_take_no_new_pages_where_freed_memory_is_kept() -> None:
    # 64 MiB have 16,384 pages of 4 KiB, or 32 of 2 MiB.
    assert pages_of_the_last_tensors("keep_freed_memory()") < 10 < pages_of_the_last_tensors("")
