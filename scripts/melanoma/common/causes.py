"""Why a job failed: for good, or by something that may have passed when it is tried again.

A GPU queue is no place to try a wrong configuration ten times. What is not known to pass counts as lasting, but for a
kill, of which a job cannot tell.
"""

import errno
import re

from melanoma.common.errors import InputError

# Disks that are full or away, networks, and what a node has run out of.
PASSING_NUMBERS = {
    "EDQUOT", "EIO", "ENODEV", "ENOLCK", "ENOSPC", "EREMOTEIO", "ESTALE",
    "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET", "ENETUNREACH",
    "ENOTCONN", "EPIPE", "ETIMEDOUT",
    "EAGAIN", "EBUSY", "EINTR", "EMFILE", "ENFILE", "ENOMEM",
}  # fmt: skip
# By name, so that nothing imports torch to say what it failed of: memory, a device, another process that was killed.
PASSING_NAMES = {"OutOfMemoryError", "DistBackendError", "DistNetworkError", "DistStoreError", "BrokenProcessPool"}
# What torch says of these in a plain RuntimeError.
PASSING_WORDS = re.compile(
    r"is killed by signal|exited unexpectedly|CUDA error: (?!device-side assert)|NCCL|gloo"
    r"|[Cc]onnection (closed|reset|refused)"
)


def may_pass(error: BaseException) -> bool:
    """Tell whether another try may end better: a signal, memory, disk, network, device, or the end of another process.

    An InputError is as lasting as the OSError that it tells of.
    """
    if isinstance(error, InputError):
        return isinstance(error.__cause__, OSError) and may_pass(error.__cause__)
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0) in PASSING_NUMBERS
    if isinstance(error, KeyboardInterrupt | MemoryError):
        return True
    if PASSING_NAMES & {kind.__name__ for kind in type(error).__mro__}:
        return True
    return isinstance(error, RuntimeError) and PASSING_WORDS.search(str(error)) is not None
