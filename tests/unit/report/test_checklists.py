"""The checklists name the places of a page that report their items."""

import re

from melanoma.report.checklists import checklists
from melanoma.report.page import TEMPLATES


def test_an_item_has_only_places_that_the_page_has():
    lists = checklists('<section id="results">')
    assert [len(items) for items in lists.values()] == [44, 52]
    places = {place for items in lists.values() for item in items for place in item["places"]}
    assert places == {"results"}


def test_every_place_of_the_lists_exists_in_a_template():
    ids = set(re.findall(r'id="([\w-]+)"', "".join(path.read_text() for path in TEMPLATES.glob("*.j2"))))
    lists = checklists("".join(f'<p id="{name}">' for name in ids))
    listed = ", ".join(re.findall(r"places: \[(.*)\]", (TEMPLATES / "checklists.yaml").read_text()))
    assert set(re.findall(r"[\w-]+", listed)) <= ids
    assert all(len({item["item"] for item in items}) == len(items) for items in lists.values())
