"""The page in the terminal that says what the check of a study has read."""

import textwrap
from collections.abc import Iterable, Iterator

import pandas as pd

from melanoma.common.errors import listing
from melanoma.config.study import Study
from melanoma.data_check.check import Findings
from melanoma.data_check.precision import WITHIN_PATIENT, effective_images, half_width, required_images

WIDTH = 100
AGES = ((0, 30), (30, 50), (50, 70), (70, 121))
LISTED = 12


def page(study: Study, findings: Findings, mends: Iterable[str] = ()) -> str:
    """Return the page: sources, counts, precision, problems, the lines of YAML that mend them, and a verdict."""
    catalog, faults = findings.catalog, findings.faults
    lines = [*_section("Not here yet, so not checked", findings.pending)]
    if catalog is not None:
        lines += [
            "Sources",
            *_indented(_sources(catalog).splitlines()),
            "",
            "Images",
            *_indented(_counts(catalog), hang=11),
            "",
        ]
    if findings.test is not None:
        lines += ["Expected precision", *_indented(_precision(findings.test)), ""]
    lines += _section("Read as", _notes(findings.issues, "normalized"))
    lines += _section("Warnings", [*findings.warnings, *_notes(findings.issues, "warning")])
    lines += _section("Rows that are left out (on_bad_row: drop)", [] if faults else _dropped(findings.issues))
    if faults:
        problems = "\n".join(faults).splitlines()
        lines += ["Problems that stop the run", *_indented(problems), ""]
    mends = list(mends)
    if mends:
        lines += ["YAML that would mend this", *_indented(mends), ""]
    lines.append(f"Study {study.study} cannot run." if faults else f"Study {study.study} can run.")
    return "\n".join(lines)


def count(number: int, total: int) -> str:
    """Return a number and its share in percent, as in 1,234 (12.3%)."""
    return f"{number:,} ({number / total:.1%})" if total else "0"


def _sources(catalog: pd.DataFrame) -> str:
    rows = []
    for (name, role), images in catalog.groupby(["source", "role"], sort=False):
        missing = {column: f"{images[column].isna().mean():.0%}" for column in ("sex", "age", "site", "diagnosis")}
        row = {"source": name, "role": role, "images": f"{len(images):,}"}
        row |= {"melanomas": f"{(images['target'] == 1).sum():,}", "patients": f"{images['patient'].nunique():,}"}
        row |= {"lesions": f"{images['lesion'].nunique():,}"}
        rows.append(row | {f"no {column}": share for column, share in missing.items()})
    return str(pd.DataFrame(rows).to_string(index=False))


def _counts(catalog: pd.DataFrame) -> Iterator[str]:
    total, melanomas = len(catalog), int((catalog["target"] == 1).sum())
    yield f"class      melanoma {count(melanomas, total)}, other {count(total - melanomas, total)}"
    for column in ("sex", "site", "diagnosis"):
        words = catalog[column].value_counts()
        shown = [f"{word} {count(number, total)}" for word, number in words.head(LISTED).items()]
        if len(words) > LISTED:
            shown.append(f"{len(words) - LISTED} more")
        yield f"{column:<10} {', '.join([*shown, f'missing {count(int(catalog[column].isna().sum()), total)}'])}"
    age = catalog["age"]
    if age.notna().any():
        bands = [(f"{low}-{high - 1}", int(age.between(low, high - 1e-9).sum())) for low, high in AGES]
        shown = [f"{name.replace('70-120', '70+')} {count(number, total)}" for name, number in bands]
        yield f"age        {', '.join([*shown, f'missing {count(int(age.isna().sum()), total)}'])}"
    else:
        yield f"age        missing {count(total, total)}"
    patients = catalog["patient"].value_counts()
    yield (
        f"patients   {len(patients):,}, with {patients.mean():.1f} images on average and at most {patients.max():,};"
        f" {catalog.loc[catalog['target'] == 1, 'patient'].nunique():,} have a melanoma"
    )


def _precision(test: pd.DataFrame) -> Iterator[str]:
    melanomas = test[test["target"] == 1]
    yield (
        f"The test set would have {len(test):,} images of {test['patient'].nunique():,} patients: {len(melanomas):,}"
        f" melanomas of {melanomas['patient'].nunique():,} patients."
    )
    widths = [f"{auroc} ± {half_width(test, auroc):.3f}" for auroc in (0.8, 0.9)]
    yield f"95 % confidence interval of an AUROC: {' or '.join(widths)}"
    yield f"(Hanley and McNeil 1982; the scores of a patient's images of one class correlate by {WITHIN_PATIENT}.)"
    if half_width(test, 0.9) > 0.1:
        yield "This is too wide to compare models. More melanomas make it narrower, and folds do not."
    if 0 < len(melanomas) < len(test):
        need = required_images(len(melanomas) / len(test), 0.9)
        yield (
            f"Riley et al. 2021 ask for {need.auroc:,} independent images for the AUROC,"
            f" {need.observed_expected:,} for observed/expected and {need.calibration_slope:,} for the calibration"
            f" slope; this test set is worth {effective_images(test):,.0f}."
        )


def _notes(issues: pd.DataFrame, action: str) -> list[str]:
    if not len(issues):
        return []
    notes = issues[issues["action"] == action]
    return [
        f"{note.source}: {note.column}: " + (f"{note.value!r} " if pd.notna(note.value) else "") + str(note.problem)
        for note in notes.itertuples()
    ]


def _dropped(issues: pd.DataFrame) -> list[str]:
    if not len(issues):
        return []
    dropped = issues[issues["action"] == "dropped"]
    kinds = dropped.groupby(["table", "column", "problem"], sort=False)
    return [f"{table}: {column}: {problem} ({len(rows)})" for (table, column, problem), rows in kinds]


def _section(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    return [title, *_indented(listing(items, limit=LISTED).splitlines(), by=""), ""]


def _indented(lines: Iterable[str], by: str = "  ", hang: int = 4) -> list[str]:
    """Return the lines, each in WIDTH columns; the rest of a longer line follows with `hang` blanks more."""
    wrapped: list[str] = []
    for line in lines:
        start = line[: len(line) - len(line.lstrip())] + by
        wrapped += textwrap.wrap(
            line.strip(),
            WIDTH,
            initial_indent=start,
            subsequent_indent=start + " " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return wrapped
