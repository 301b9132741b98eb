"""The report of a study: one HTML page that contains all that it shows, and its tables as files."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from melanoma.common.files import write_text
from melanoma.report.checklists import checklists
from melanoma.report.cohort_tables import weakest
from melanoma.report.contents import Data, contents
from melanoma.report.privacy import redactor
from melanoma.report.shareable import known_names, make_shareable
from melanoma.report.sources import Sources, read_study
from melanoma.report.tables import as_csv, as_latex

TEMPLATES = Path(__file__).with_name("templates")
# The charts are drawn by Observable Plot, which needs D3; see vendor/README.md.
SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "charts.js", "page.js")
# The sections of each part of the navigation, by their ids, in the order of the page.
PARTS = {
    "Results": ("results", "curves", "threshold-slider", "selected-model", "comparisons"),
    "Thresholds and calibration": ("thresholds", "calibration"),
    "Other tests": ("external", "units", "referral", "robustness"),
    "Where it fails": ("subgroups", "shortcuts", "errors", "patients", "explanations"),
    "Data and leakage": ("data", "split"),
    "Training": ("training", "costs"),
    "About this study": ("reproduce", "limits", "checklists"),
}


class Page(NamedTuple):
    """The page as HTML, and its tables by the name of their file: as CSV, with all digits, and as LaTeX."""

    html: str
    tables: dict[str, str]


def render(sources: Sources) -> Page:
    """Return the report with all images inside. The same sources give the same page."""
    study = read_study(sources.study)
    hide = redactor(study.report.identifiers)

    def hidden(value: object) -> object:
        plain = isinstance(value, str | Path) and not isinstance(value, Markup)
        return hide(str(value)) if plain else value

    def breakable(text: object) -> Markup:
        """Return a text that may be broken after an underscore. Long names of models would be broken anywhere."""
        return Markup("_<wbr>").join(hide(str(text)).split("_"))

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=hidden,
    )
    environment.filters["breakable"] = breakable
    content, data = contents(sources, study)
    if study.report.shareable:
        make_shareable(content, data, known_names(sources.catalog))
    content["weakest"] = {key: weakest(content["tables"]["subgroups"], key) for key in ("auroc", "sensitivity")}
    body = environment.get_template("body.html.j2").render(content)
    body += environment.get_template("checklists.html.j2").render(checklists=checklists(body))
    html = environment.get_template("report.html.j2").render(
        study=study,
        body=Markup(body),
        parts=navigation(body),
        style=Markup((TEMPLATES / "page.css").read_text()),
        scripts=[Markup((TEMPLATES / name).read_text()) for name in SCRIPTS],
        data=Markup(embedded(data, hide)),
    )
    tables = [*content["tables"].values(), *content["trials"], *(content["issues"] or [])]
    known = [table for table in tables if table is not None]
    texts = {f"{table.name}.csv": as_csv(table) for table in known}
    texts |= {f"{table.name}.tex": as_latex(table) for table in known}
    return Page(html, {name: hide(text) for name, text in texts.items()})


def navigation(body: str) -> dict[str, list[tuple[str, Markup]]]:
    """Return the sections that the page has, as id and title, by part of the page."""
    titles = dict(re.findall(r'<section id="([^"]+)">\s*<h2>(.*?)</h2>', body))
    parts = {part: [(place, Markup(titles[place])) for place in ids if place in titles] for part, ids in PARTS.items()}
    return {part: links for part, links in parts.items() if links}


def embedded(data: Data, hide: Callable[[str], str]) -> str:
    """Return the data of the page as JSON that can stand in HTML. Pictures are not searched for names."""
    pictures = json.dumps(data["thumbnails"], separators=(",", ":"))
    text = hide(json.dumps({**data, "thumbnails": None}, allow_nan=False, separators=(",", ":")))
    return text.replace("</", "<\\/").replace('"thumbnails":null', f'"thumbnails":{pictures}')


def write_tables(tables: Mapping[str, str], folder: Path) -> None:
    """Write the tables in place of what the folder holds."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in tables.items():
        write_text(folder / name, text)
