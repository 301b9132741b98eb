"""What every script shares: a --log option, log lines with the time, errors in the user's language, progress."""

import argparse
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from melanoma.errors import InputError

log = logging.getLogger("melanoma")
Item = TypeVar("Item")
NEXT_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ", re.MULTILINE)


def run(
    describe: Callable[[argparse.ArgumentParser], None],
    main: Callable[[argparse.Namespace], None],
    doc: str | None,
) -> None:
    """Parse the command line, set up logging, call `main`; exit 1 with a plain message on an InputError.

    `describe` adds the script's own arguments; `doc` is the script's docstring, shown by --help.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    describe(parser)
    parser.add_argument("--log", type=Path, metavar="FILE", help="also write the log to this file")
    args = parser.parse_args()
    _start_logging(args.log)
    log.debug("python %s", shlex.join(sys.argv))
    try:
        main(args)
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            log.exception("stopped by %s", type(error).__name__)
        raise


def progress(items: Iterable[Item], label: str, total: int | None = None, every: float = 10.0) -> Iterator[Item]:
    """Yield from `items` with a bar on a terminal, else a log line at most every `every` seconds."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm  # half the start of the quickest scripts

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


def failures(folder: str, since: float) -> list[str]:
    """Return what the jobs that failed since a time (seconds of the epoch) said last, each with its log's name."""
    said = []
    for path in sorted(Path(folder).rglob("*.log")):
        if path.stat().st_mtime >= since:
            _, error, message = path.read_text().rpartition(" ERROR ")
            if error and not NEXT_LINE.search(message):
                said.append(f"{path}: {message.strip()}")
    return said


def _start_logging(path: Path | None) -> None:
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.INFO)
    job = "/".join(path.with_suffix("").parts[2:]) + " " if path is not None else ""
    screen.setFormatter(logging.Formatter(f"%(asctime)s {job}%(levelname)s %(message)s", datefmt="%T"))
    handlers: list[logging.Handler] = [screen]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path))  # appended to: what a killed attempt said stays
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%F %T", handlers=handlers)
    # Of the processes that torchrun starts, the first speaks for all; the others say what ends them.
    log.setLevel(logging.DEBUG if os.environ.get("RANK", "0") == "0" else logging.ERROR)
