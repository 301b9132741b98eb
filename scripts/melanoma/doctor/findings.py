"""What the doctor finds, and the page that shows it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

INDENT = " " * 10
# Paths, addresses and commands stay whole.
WRAPPER = textwrap.TextWrapper(110, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True)
class Finding:
    """One finding: its level (ok, note, warning or FAULT), what it is about, what was seen, and the cure."""

    level: str
    subject: str
    text: str
    cure: str = ""


def ok(subject: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", subject, text)


def note(subject: str, text: str) -> Finding:
    """Return that something was not checked, or is of interest."""
    return Finding("note", subject, text)


def warning(subject: str, text: str, cure: str) -> Finding:
    """Return that the study may run, but slowly, or not to its end."""
    return Finding("warning", subject, text, cure)


def fault(subject: str, text: str, cure: str) -> Finding:
    """Return that the study cannot run as it should."""
    return Finding("FAULT", subject, text, cure)


def faults(findings: Sequence[Finding]) -> list[str]:
    """Return what each fault is about, and what was seen."""
    return [f"{finding.subject}: {finding.text}" for finding in findings if finding.level == "FAULT"]


def page(title: str, findings: Sequence[Finding]) -> str:
    """Return the findings as a plain text, and at its end how many faults and warnings there are."""
    lines = [title, "", *(line for finding in findings for line in _lines(finding))]
    warnings = sum(finding.level == "warning" for finding in findings)
    return "\n".join([*lines, "", f"Faults: {len(faults(findings))}, warnings: {warnings}.", ""])


def _lines(finding: Finding) -> list[str]:
    head = f"{finding.level:<10}{finding.subject}: {finding.text}"
    cure = [f"{INDENT}Cure: {finding.cure}"] if finding.cure else []
    return [line for text in [head, *cure] for line in WRAPPER.wrap(text)]
