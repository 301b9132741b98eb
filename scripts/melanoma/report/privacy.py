"""The page shows no name of a user, a home folder or a computer."""

import re
import socket
from collections.abc import Callable
from getpass import getuser
from pathlib import Path

HOMES = re.compile(r"(?<![\w.~-])/(?:home|Users|u/home/\w)/[^/\s\"'<>:,]+")
SHORT = 4  # a name of fewer characters is often a part of a word


def redactor(identifiers: bool) -> Callable[[str], str]:
    """Return a function that hides home folders, the user and the computer in a text, unless `identifiers`."""
    if identifiers:
        return str
    home = str(Path.home())
    names = {
        name for name in (user(), socket.gethostname()) if len(name) >= SHORT and name not in ("root", "localhost")
    }
    words = re.compile(rf"(?<![\w])({'|'.join(map(re.escape, sorted(names)))})(?![\w])") if names else None

    def hidden(text: str) -> str:
        shown = re.sub(rf"(?<![\w.~/-]){re.escape(home)}(?![\w.-])", "~", text) if len(home) > 1 else text
        shown = HOMES.sub("~", shown)
        return words.sub("...", shown) if words else shown

    return hidden


def user() -> str:
    """Return the name of the user; empty if the system has none."""
    try:
        return getuser()
    except (KeyError, OSError):
        return ""
