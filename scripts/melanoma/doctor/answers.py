"""Commands and checks that end: each has a time limit, because a broken machine often hangs."""

import shlex
import subprocess
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

COMMAND_SECONDS = 20.0
Value = TypeVar("Value")


class NoAnswer(Exception):
    """A command or a check gave no answer. The message says which one, and why."""


def answer(*command: str) -> str:
    """Return what a command prints. Raises NoAnswer if it is missing, fails, or takes over COMMAND_SECONDS."""
    shown = shlex.join(command)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
    except FileNotFoundError as error:
        raise NoAnswer(f"there is no command {command[0]} here") from error
    except OSError as error:
        raise NoAnswer(f"`{shown}` cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswer(f"`{shown}` did not answer within {COMMAND_SECONDS:g} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise NoAnswer(f"`{shown}` failed: {said[-1]}")
    return done.stdout


def within(seconds: float, check: Callable[[], Value]) -> Value:
    """Return what `check` returns, called in a process of its own, which is killed after `seconds`.

    Raises NoAnswer if the check takes longer, or if its process dies, as by a crash of a driver.
    """
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(check, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise NoAnswer(f"no answer within {seconds:g} s")
        value: Value = receiver.recv()
        return value
    except EOFError as error:
        raise NoAnswer("the check died, see the message above, if there is one") from error
    finally:
        process.kill()


def _send(check: Callable[[], object], sender: Connection) -> None:
    sender.send(check())
