"""The items of CLAIM 2024 and TRIPOD+AI, with the places of a page that report them.

CLAIM: Tejani et al., Radiology: Artificial Intelligence 6:e240300, 2024; items 1 to 44 as in its checklist, and what
each asks as in its elaboration (https://rsna.github.io/claim/). TRIPOD+AI: Collins et al., BMJ 385:e078378, 2024; items
1 to 27c as in its checklist of 11 January 2024 (https://www.tripod-statement.org). The topics are our short words.
"""

import re
from pathlib import Path
from typing import TypedDict

from melanoma.common.files import read_yaml

ITEMS = Path(__file__).with_name("templates") / "checklists.yaml"


class Item(TypedDict):
    """An item of a checklist, and the ids of the sections of the page that report it."""

    item: str
    topic: str
    places: list[str]


def checklists(page: str) -> dict[str, list[Item]]:
    """Return the items of each checklist with the places that `page`, HTML, really has."""
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    lists: dict[str, list[Item]] = read_yaml(ITEMS)
    return {
        name: [{**item, "places": [place for place in item["places"] if place in ids]} for item in items]
        for name, items in lists.items()
    }
