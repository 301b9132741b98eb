"""Memory that torch frees is used again without new pages from the system."""

import subprocess
import sys

from project import ROOT

# Prints how many new pages the last of several equal tensors takes.
LAST = """
import resource, torch
from melanoma.compute.memory import keep_freed_memory
{first}
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensor = torch.zeros(2**24)
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    del tensor
print(pages)
"""


def pages_of_the_last_tensor(first: str) -> int:
    run = [sys.executable, "-c", LAST.format(first=first)]
    return int(subprocess.run(run, cwd=ROOT / "scripts", check=True, capture_output=True, text=True).stdout)


def test_a_later_tensor_takes_no_new_pages_where_freed_memory_is_kept() -> None:
    # 64 MiB have 16,384 pages of 4 KiB, or 32 of 2 MiB.
    assert pages_of_the_last_tensor("keep_freed_memory()") < 10 < pages_of_the_last_tensor("")
