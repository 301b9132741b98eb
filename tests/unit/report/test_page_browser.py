"""The report in a browser: it loads nothing, works by mouse and keyboard, and shows the numbers of the evaluation."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

import write_report as script
from finished_study import report_options, write_shortcuts
from in_process import call
from melanoma.common.files import read_json, read_yaml, write_json, write_parquet, write_yaml
from melanoma.stats.metrics import confusion

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.large,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
WIDE, PHONE, PAPER = 1440, 390, 703
CUT = "(table) => table.scrollWidth > table.parentNode.clientWidth"
LONG = "swin_tiny_patch4_window7_224_and_mlp_mix"


@pytest.fixture(scope="module")
def report(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report, with its tables, among them subgroups and a long table of comparisons."""
    folder = tmp_path_factory.mktemp("report")
    metrics, comparisons = (read_json(study / f"{name}.json") for name in ("metrics", "comparisons"))
    entry = metrics["cnn"]
    group = entry["calibrated"] | entry["thresholds"]["sensitivity_90"] | entry
    groups = dict.fromkeys(("head/neck", "lower extremity", "oral/genital", "upper extremity"), group)
    kinds = {"site": {"groups": groups, "heterogeneity": {"auroc": {"p_holm": 0.5}}}}
    entry["subgroups"] = {"rule": "sensitivity_90", "scale": "calibrated", "kinds": kinds}
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "comparisons.json", comparisons | {"pairs": comparisons["pairs"] * 30})
    changed = {name: folder / f"{name}.json" for name in ("metrics", "comparisons")}
    changed |= {"selected_model": study / "selected_model.json"}
    changed |= {"shortcuts": write_shortcuts(study, folder / "shortcuts.json")}
    call(script, *report_options(study, **changed), "--tables", folder / "tables", "--output", folder / "report.html")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def long_names(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report whose selected model has a name of 40 characters."""
    folder = tmp_path_factory.mktemp("long")
    write_shortcuts(study, folder / "shortcuts.json")
    changed = {"shortcuts": folder / "shortcuts.json"}
    for name in ("metrics", "comparisons", "calibration", "curves", "selected_model", "shortcuts"):
        content = read_json(changed.get(name, study / f"{name}.json"))
        changed[name] = folder / f"{name}.json"
        write_json(changed[name], json.loads(json.dumps(content).replace('"cnn"', f'"{LONG}"')))
    changed["test_predictions"] = folder / "test_predictions.parquet"
    predictions = pd.read_parquet(study / "test_predictions.parquet")
    write_parquet(changed["test_predictions"], predictions.rename(columns={"cnn": LONG}))
    call(script, *report_options(study, **changed), "--output", folder / "report.html")
    return folder


def opened(browser: Browser, report: Path, width: int = WIDE, scheme: str = "light") -> Page:
    """Open the report, and fail if it says anything on the console or asks for anything."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("data:") else None)
    address = (report / "report.html").as_uri()
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert said == [address]
    return page


def drawn(page: Page, name: str) -> Locator:
    """Bring a chart into view, where it is drawn, and return its drawing."""
    page.locator(f"[data-chart={name}]").scroll_into_view_if_needed()
    drawing = page.locator(f"[data-chart={name}] > svg")
    drawing.wait_for()
    return drawing


def test_a_shareable_page_works_without_the_charts_that_it_lacks(browser: Browser, study: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "study.yaml", read_yaml(study / "study.yaml") | {"report": {"shareable": True}})
    changed = {"selected_model": study / "selected_model.json", "study": tmp_path / "study.yaml"}
    call(script, *report_options(study, **changed), "--output", tmp_path / "report.html")
    page = opened(browser, tmp_path)
    assert drawn(page, "roc").count() == 1 and page.locator("[data-chart=decision]").count() == 0
    page.context.close()


@pytest.fixture(scope="module")
def page(browser: Browser, report: Path) -> Page:
    return opened(browser, report)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_page_is_accessible_and_no_wider_than_the_screen(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    page = opened(browser, report, width, scheme)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")  # draws all charts
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    expect(page.locator(".numbers")).to_have_count(page.locator("[data-chart]").count())
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_a_print_is_legible_from_a_dark_screen_and_has_all_columns(browser: Browser, report: Path) -> None:
    page = opened(browser, report, PAPER, "dark")
    page.emulate_media(media="print")
    results = Axe().run(page, options={"runOnly": ["color-contrast"]})
    assert results.violations_count == 0, results.generate_report()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    widest = page.evaluate("Math.max(...[...document.querySelectorAll('table')].map((each) => each.scrollWidth))")
    assert background == "rgb(255, 255, 255)" and widest <= PAPER
    rows = page.locator("#table-comparisons")
    assert rows.evaluate("(table) => table.parentNode.clientHeight >= table.clientHeight"), "a long table has all rows"
    page.context.close()


def test_a_chart_is_drawn_when_it_comes_into_view_and_all_are_drawn_before_a_print(
    browser: Browser, report: Path
) -> None:
    page = opened(browser, report)
    charts, drawings = page.locator("[data-chart]"), page.locator("[data-chart] > svg")
    assert drawings.count() == 0
    assert drawn(page, "roc").get_attribute("aria-label") == "ROC curves. Use the arrow keys to read its points."
    assert 0 < drawings.count() < charts.count()
    page.pdf()
    assert drawings.count() == charts.count() > 4
    page.context.close()


def test_the_slider_shows_what_the_evaluation_computes(page: Page, study: Path) -> None:
    table = pd.read_parquet(study / "test_predictions.parquet")
    target, probability = table["target"].to_numpy(), table["cnn"].to_numpy()
    slider = page.locator("#threshold")
    for place in np.random.default_rng(0).integers(0, int(slider.get_attribute("max") or 0) + 1, 50):
        slider.evaluate(
            "(input, place) => { input.value = place; input.dispatchEvent(new Event('input')) }", int(place)
        )
        ids = ("at-threshold", "sensitivity", "specificity", "ppv", "npv", "tp", "fp", "fn", "tn", "needed")
        shown = page.evaluate("(ids) => ids.map((id) => +document.getElementById(id).dataset.value)", list(ids))
        values = dict(zip(ids, shown, strict=True))
        cells = confusion(target, probability, values["at-threshold"])
        expected = {name: float(getattr(cells, name)) for name in ids[1:9]}
        expected["needed"] = 1 / expected["ppv"] if expected["ppv"] else np.inf
        assert {name: values[name] for name in expected} == pytest.approx(expected, nan_ok=True, rel=1e-6)


def test_a_button_sets_the_threshold_that_was_selected_out_of_fold(page: Page, study: Path) -> None:
    cells = read_json(study / "metrics.json")["cnn"]["thresholds"]["youden"]
    # By the keyboard: a chart that is drawn when it comes into view can move the button away from the mouse.
    page.get_by_role("button", name="Youden").press("Enter")
    for name in ("tp", "fp", "fn", "tn"):
        expect(page.locator(f"#{name}")).to_have_text(str(cells[name]))
    area = cells["sensitivity"]
    reached = f"Its sensitivity on the test set is {area['value']:.2f} [{area['low']:.2f}, {area['high']:.2f}]."
    said = page.locator("#in-words").inner_text()
    assert "Youden" in said and reached in said
    ppv = float(page.locator("#ppv").inner_text())
    page.locator("#prevalence").fill("1")
    assert float(page.locator("#ppv").inner_text()) < ppv
    before = page.locator("#at-threshold").inner_text()
    page.locator("#threshold").press("ArrowRight")
    assert page.locator("#at-threshold").inner_text() != before
    assert "out of fold" not in page.locator("#in-words").inner_text()


def test_the_numbers_of_the_page_are_those_of_the_tables_and_of_the_metrics(
    page: Page, report: Path, study: Path
) -> None:
    metrics = read_json(study / "metrics.json")
    with (report / "tables" / "models.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(metrics)
    for name, entry in metrics.items():
        for key in ("auroc", "average_precision", "partial_auroc", "sensitivity_at_90_specificity"):
            texts = [rows[name][column] for column in (key, f"{key}_low", f"{key}_high")]
            assert [float(text) for text in texts] == list(entry[key].values())
        shown = page.locator("#table-models tbody tr").filter(has_text=name).inner_text()
        area = entry["auroc"]
        assert f"{area['value']:.2f}" in shown and f"[{area['low']:.2f}, {area['high']:.2f}]" in shown
    assert page.locator("#auroc").inner_text() == f"{metrics['cnn']['auroc']['value']:.2f}"
    found = 100 * metrics["cnn"]["sensitivity_at_90_specificity"]["value"]
    assert page.locator("#found").inner_text() == f"{found:.0f}"
    entry = metrics["cnn"]
    validated, cells = entry["validation"]["auroc"]["value"], entry["thresholds"]["sensitivity_90"]
    assert page.locator("#out-of-fold").inner_text() == f"{validated:.2f}"
    assert page.locator("#difference").inner_text() == f"{entry['auroc']['value'] - validated:+.3f}"
    assert page.locator("#reached").inner_text() == f"{100 * cells['sensitivity']['value']:.0f}"
    called = 100 * cells["fp"] / (cells["fp"] + cells["tn"])
    assert page.locator("#false-alarms").inner_text() == f"{called:.0f}"
    assert page.locator("#error-counts b").all_inner_texts() == [str(cells["fn"]), str(cells["fp"])]
    assert r"\begin{tabular}" in (report / "tables" / "models.tex").read_text()


def test_a_table_is_sorted_by_mouse_and_keyboard_and_filtered(page: Page) -> None:
    names = page.locator("#table-models tbody th")
    first = names.nth(0).inner_text()
    heading = page.locator("#table-models thead button").nth(0)
    heading.click()
    assert names.nth(0).inner_text().startswith("cnn")
    heading.press("Enter")
    assert names.nth(0).inner_text().startswith("mlp")
    assert page.locator("#table-models thead th").nth(0).get_attribute("aria-sort") == "descending"
    page.get_by_label("Filter rows").first.fill("metadata")
    assert [each.inner_text() for each in names.all() if each.is_visible()] == ["mlp"]
    page.get_by_label("Filter rows").first.fill("")
    assert first in names.all_inner_texts()


def test_a_table_of_few_rows_is_shown_whole_and_a_long_one_has_a_button(page: Page) -> None:
    height = "(table) => table.parentNode.scrollHeight - table.parentNode.clientHeight"
    models, comparisons = page.locator("#table-models"), page.locator("#table-comparisons")
    assert models.evaluate(height) == 0 and comparisons.evaluate(height) > 0
    button = page.get_by_role("button", name="Show all 30 rows")
    button.press("Enter")
    assert comparisons.evaluate(height) == 0
    page.get_by_role("button", name="Show fewer rows").click()
    assert comparisons.evaluate(height) > 0 and button.get_attribute("aria-expanded") == "false"


def test_the_table_of_models_is_not_cut_with_three_decimals(page: Page) -> None:
    cut = """(table) => {
        const copy = table.parentNode.cloneNode(true);
        copy.innerHTML = copy.innerHTML.replace(/(\\d\\.\\d\\d)(?=[,\\]<])/g, "$10");
        table.parentNode.after(copy);
        const widths = [copy.scrollWidth, copy.clientWidth, table.parentNode.scrollWidth];
        copy.remove();
        return widths;
    }"""
    widest, space, before = page.locator("#table-models").evaluate(cut)
    assert widest <= space and before <= space


def test_the_table_of_subgroups_is_not_cut(page: Page) -> None:
    assert page.locator("#table-subgroups").evaluate("(table) => table.scrollWidth <= table.parentNode.clientWidth")


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_a_long_name_of_a_model_is_shown_whole_and_cuts_no_table_of_a_wide_screen(
    browser: Browser, long_names: Path, width: int
) -> None:
    page = opened(browser, long_names, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for place in ("#selected", "#shown-models label >> nth=0", "#table-comparisons tbody th >> nth=0"):
        cut = page.locator(place).evaluate("(each) => each.scrollWidth > each.clientWidth")
        assert LONG in (page.locator(place).text_content() or "") and not cut
    page.get_by_role("checkbox", name="mlp", exact=True).uncheck()
    drawn(page, "roc").hover(position={"x": 150, "y": 120})
    read = page.locator("[data-chart=roc] > svg svg").text_content() or ""
    assert LONG in read.replace("\u200b", "")
    if width == WIDE:
        tables = page.locator("table[id]").all()
        assert [table.get_attribute("id") for table in tables if table.evaluate(CUT)] == []
    page.context.close()


def test_the_navigation_opens_by_keyboard_and_leads_to_a_section(page: Page) -> None:
    part = page.locator("nav summary", has_text="Where it fails")
    link = page.get_by_role("navigation").get_by_role("link", name="Subgroups")
    assert not link.is_visible()
    part.press("Enter")
    link.press("Enter")
    assert page.url.endswith("#subgroups")
    page.locator("nav summary", has_text="Results").press("Enter")
    assert not link.is_visible(), "one part is open at a time"


def test_a_curve_is_read_by_mouse_and_by_keyboard(page: Page, study: Path) -> None:
    drawing = drawn(page, "roc")
    figure = page.locator("figure").filter(has=drawing)
    said = figure.locator(".tip")
    drawing.hover(position={"x": 150, "y": 150})
    shown = drawing.locator("svg")
    expect(shown).to_contain_text("threshold")
    assert all(value in (shown.text_content() or "") for value in said.inner_text().split(", "))
    page.mouse.move(0, 0)
    expect(shown).to_have_count(0)
    drawing.focus()
    for _ in range(20):
        drawing.press("Shift+ArrowLeft")
    name, *values = said.inner_text().split(", ")
    table = pd.read_parquet(study / "test_predictions.parquet")
    cells = confusion(table["target"].to_numpy(), table[name].to_numpy(), table[name].max())
    expected = {"False positive rate": 1 - cells.specificity, "Sensitivity": cells.sensitivity}
    expected["threshold"] = table[name].max()
    assert values == [f"{label} {value:.3g}" for label, value in expected.items()]
    expect(shown).to_be_visible()
    drawing.press("ArrowDown")
    assert said.inner_text().split(", ")[0] != name
    figure.locator("summary").press("Enter")
    row = figure.locator("tbody tr").filter(has_text=name).first
    expect(row.locator("td")).to_have_text([name, *(value.split()[-1] for value in values[:2])])
    lines = drawing.locator("> g[clip-path] path")
    count = lines.count()
    page.get_by_role("checkbox", name="mlp").uncheck()
    expect(lines).to_have_count(count - 1)


def test_pictures_and_patients_are_shown(page: Page) -> None:
    picture = page.locator("[data-gallery=false_negatives] img").first
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    first = page.locator("#patient-images").inner_text()
    page.locator("#patient").select_option("1")
    assert page.locator("#patient-images").inner_text() != first
