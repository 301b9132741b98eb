"""The command line of all scripts: option --log, log lines with the time, plain error messages, progress."""

import argparse
import gc
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from pathlib import Path
from typing import TypeVar

from melanoma.common.causes import DISK_FULL, disk_full, is_temporary
from melanoma.common.errors import InputError
from melanoma.common.processes import end_with_snakemake

log = logging.getLogger("melanoma")
Item = TypeVar("Item")


def run(
    describe: Callable[[argparse.ArgumentParser], None],
    main: Callable[[argparse.Namespace], None],
    doc: str | None,
) -> None:
    """Parse the command line, start logging and call `main`. On an InputError, log its message and exit with 1.

    `describe` adds the script's own arguments. --help shows `doc`, the script's docstring. A permanent cause of failure
    is logged as an ERROR, a temporary one as a WARNING: melanoma.snakefile.retries reads the level.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    describe(parser)
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="file of the log; the screen shows only warnings and errors",
    )
    args = parser.parse_args()
    start_logging(args.log)
    log.debug("python %s", shlex.join(sys.argv))
    end_with_snakemake()
    gc.freeze()  # modules are never garbage: a search of them at the exit takes 0.1 to 0.5 s after an import of torch
    try:
        main(args)
    except InputError as error:
        log.log(_level(error), "%s", error)
        sys.exit(1)
    except SystemExit:
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            log.log(_level(error), "%s", disk_full(error.filename or "a file", error))
            sys.exit(1)
        log.log(_level(error), "stopped by %s", type(error).__name__, exc_info=True)
        raise


def progress(items: Iterable[Item], label: str, total: int | None = None, every: float = 10.0) -> Iterator[Item]:
    """Yield from `items`, with a bar on a terminal. Elsewhere, log a line at most every `every` seconds."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm  # the import takes half of the start of the quickest scripts

        yield from tqdm(items, desc=label, total=total, leave=False)
        return
    start = said = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - said >= every:
            said = now
            rate = count / (now - start)
            left = f", {(total - count) / rate:.0f} s left" if total else ""
            log.info("%s: %d of %s, %.1f a second%s", label, count, total or "?", rate, left)


def start_logging(path: Path | None) -> None:
    """Log to the screen. If `path` is given, log to that file, and only warnings and errors to the screen."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.INFO if path is None else logging.WARNING)
    job = "/".join(path.with_suffix("").parts[2:]) + " " if path is not None else ""
    screen.setFormatter(logging.Formatter(f"%(asctime)s {job}%(levelname)s %(message)s", datefmt="%T"))
    handlers: list[logging.Handler] = [screen]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path))  # appends, so the log of a killed attempt stays
    logging.raiseExceptions = False  # a full disk is one message, and not a traceback for each line of the log
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%F %T", handlers=handlers)
    # Of the processes that torchrun starts, only the first logs its progress. The others log warnings and errors.
    log.setLevel(logging.DEBUG if os.environ.get("RANK", "0") == "0" else logging.WARNING)


def _level(error: BaseException) -> int:
    return logging.WARNING if is_temporary(error) else logging.ERROR
