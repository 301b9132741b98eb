"""Causes of failed jobs: permanent ones, and temporary ones that a retry may not meet again.

A wrong configuration must not wait ten times for a GPU. So every cause that is not known to be temporary counts as
permanent. A job that is killed leaves no cause; it counts as temporary.
"""

import errno
import re

from melanoma.common.errors import InputError

# Errors of disks, of networks, and of nodes that have no memory, files or processes left.
TEMPORARY_NUMBERS = {
    "EDQUOT", "EIO", "ENODEV", "ENOLCK", "ENOSPC", "EREMOTEIO", "ESTALE",
    "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET", "ENETUNREACH",
    "ENOTCONN", "EPIPE", "ETIMEDOUT",
    "EAGAIN", "EBUSY", "EINTR", "EMFILE", "ENFILE", "ENOMEM",
}  # fmt: skip
# Names, because an import of torch takes seconds. The causes are memory, a device, or another process that was killed.
TEMPORARY_NAMES = {"OutOfMemoryError", "DistBackendError", "DistNetworkError", "DistStoreError", "BrokenProcessPool"}
# The messages of the same causes where torch raises a RuntimeError.
TEMPORARY_WORDS = re.compile(
    r"CUDA error: (?!device-side assert)|NCCL|gloo"
    r"|[Cc]onnection (closed|reset|refused)"
)
# Of a full disk, a quota, and a limit of the size of files.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(path: object, error: OSError) -> str:
    """Return the message of a file that a full disk does not take."""
    return (
        f"{path} cannot be written: {error.strerror or error}. Free space or raise the quota, and give the same command"
        " again; what was written before is kept"
    )


def is_temporary(error: BaseException) -> bool:
    """Tell whether a retry may succeed: the cause is a signal, memory, a disk, a network, a device or another process.

    An InputError is temporary if the OSError that caused it is.
    """
    if isinstance(error, InputError):
        return isinstance(error.__cause__, OSError) and is_temporary(error.__cause__)
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0) in TEMPORARY_NUMBERS
    if isinstance(error, KeyboardInterrupt | MemoryError):
        return True
    if TEMPORARY_NAMES & {kind.__name__ for kind in type(error).__mro__}:
        return True
    return isinstance(error, RuntimeError) and TEMPORARY_WORDS.search(str(error)) is not None
