"""How the C library treats memory that torch frees on the CPU."""

import ctypes

# The numbers of two options in malloc.h of glibc. Both options are sizes in bytes.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Let the C library keep large blocks that torch frees, for the next batch.

    By default it returns each block to the system. The system then fills new pages with zeros, batch after batch, which
    is up to a tenth of a training's time on a CPU. In return a training needs up to half as much memory more. Only
    glibc, the C library of most Linux systems, has this option.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(MMAP_THRESHOLD, 2**30)
