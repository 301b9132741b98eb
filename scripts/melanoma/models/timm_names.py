"""The names of timm's networks, read from its source: an import of timm takes seconds, and a dry run waits for it."""

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NETWORK = re.compile(r"^@register_model\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
# A network with the tag of its weights, as the keys of its configurations are written; a star marks the default.
TAGGED = re.compile(r"""^\s*['"](\w+\.\w+)\*?['"]\s*:""", re.MULTILINE)


def has_network(name: str) -> bool:
    """Tell whether the installed timm has a network of that name, with or without a tag of weights; without timm, yes.

    A few modules of timm make their tags by a loop. Of their networks no tag is known here, so any counts.
    """
    names = timm_names()
    network, _, tag = name.partition(".")
    tags_known = any(known.startswith(f"{network}.") for known in names)
    return not names or name in names or (bool(tag) and network in names and not tags_known)


def nearest_networks(name: str) -> list[str]:
    """Return the three names of timm's networks that are most like `name`, or fewer."""
    return difflib.get_close_matches(name, sorted(timm_names()), n=3)


@cache
def timm_names() -> frozenset[str]:
    """Return the networks of the installed timm, and those with a tag of weights; empty where there is no timm."""
    found = find_spec("timm")
    if found is None or found.origin is None:
        return frozenset()
    sources = [path.read_text() for path in Path(found.origin).parent.glob("models/*.py")]
    return frozenset(name for text in sources for name in [*NETWORK.findall(text), *TAGGED.findall(text)])
