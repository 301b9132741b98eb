"""The checklists name the places of a page that report their items."""

import re

from melanoma.report.checklists import checklists
from melanoma.report.page import TEMPLATES

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c 18d"
    " 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


def test_the_items_are_numbered_as_in_the_guidelines():
    numbers = {name: [item["item"] for item in items] for name, items in checklists("").items()}
    assert numbers == {"CLAIM 2024": [str(number) for number in range(1, 45)], "TRIPOD+AI 2024": TRIPOD.split()}


def test_an_item_has_only_places_that_the_page_has():
    lists = checklists('<section id="results">')
    places = {place for items in lists.values() for item in items for place in item["places"]}
    assert places == {"results"}


def test_every_place_of_the_lists_exists_in_a_template():
    ids = set(re.findall(r'id="([\w-]+)"', "".join(path.read_text() for path in TEMPLATES.glob("*.j2"))))
    listed = ", ".join(re.findall(r"places: \[(.*)\]", (TEMPLATES / "checklists.yaml").read_text()))
    assert set(re.findall(r"[\w-]+", listed)) <= ids
