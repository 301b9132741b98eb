"""The lines of YAML that would mend the problems of a study's sources."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from melanoma.common.errors import InputError
from melanoma.config.data import Data, Source
from melanoma.config.study import Study
from melanoma.data.catalog import build_catalog
from melanoma.data_check.check import Findings
from melanoma.data_check.proposal import propose
from melanoma.data_check.yaml_text import source_lines
from melanoma.snakefile.study_files import nearest_path


def mends(study: Study, findings: Findings) -> Iterator[str]:
    """Yield the lines; nothing if no line would help. Each source in them can be read."""
    if not findings.faults:
        return
    given = [source for source in study.data.sources if not source.generate]
    for source in given:
        for path in _paths(source):
            if not Path(path).exists() and path not in study.fetch:
                yield f"# source {source.name}: {path} does not exist{nearest_path(Path(path))}"
    blocks = [lines for source in given if all(map(_exists, _paths(source))) and (lines := _better(source))]
    bad_rows = study.data.on_bad_row == "fail" and "dropped" in set(findings.issues.get("action", []))
    if blocks or bad_rows:
        yield "data:"
    if bad_rows and not blocks:
        yield "  on_bad_row: drop  # leaves the rows out that cannot be used"
    if blocks:
        yield "  sources:"
    for lines in blocks:
        yield from lines


def _paths(source: Source) -> list[str]:
    folders = [source.images] if isinstance(source.images, str) else list(source.images or [])
    return [path for path in (source.table, source.metadata) if path] + folders


def _exists(path: str) -> bool:
    return Path(path).exists()


def _better(source: Source) -> list[str]:
    """Return the lines of a proposal that makes more images usable than a source; empty if there is none."""
    folders = [source.images] if isinstance(source.images, str) else list(source.images or [])
    usable = _usable(source, "drop")
    if source.metadata or _usable(source, "fail") is not None:
        return []
    try:
        proposal = propose(folders, source.table)
    except InputError:
        return []
    if len(proposal.catalog) <= (usable or 0):
        return []
    first = {"name": source.name} | ({"role": source.role} if source.role != "study" else {})
    return source_lines(replace(proposal, source={**first, **proposal.source, **first}))


def _usable(source: Source, on_bad_row: str) -> int | None:
    """Return how many images of a source can be used, None if it stops the run."""
    alone = source.model_copy(update={"role": "study"})
    try:
        catalog, _ = build_catalog(Data.model_validate({"sources": [alone], "on_bad_row": on_bad_row}))
    except InputError:
        return None
    return len(catalog)
