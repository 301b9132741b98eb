"""Writes a proposal as YAML with comments, for a study that runs on any computer."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from melanoma.common.errors import InputError
from melanoma.config.split import Split
from melanoma.data_check.check import expected_test_set
from melanoma.data_check.proposal import Proposal

NETWORK = """\
  image:
    network: baseline_cnn
    baseline_cnn:
      {channels: [16, 32, 64, 128], kernels: [3, 3, 3, 3], padding: same, pooling: average, hidden: [128]}
    epochs: 8"""
HEADER = "# Proposed by scripts/check_data.py. Read each line, correct it, and check the file again with --configfile."
MODELS = 'models:  # a first run on any computer; "Your own images" in README.md has models for real work'


def study_text(proposal: Proposal) -> str:
    """Return a study of the proposal as YAML. It has fewer folds where a fold would lack a class."""
    source = proposal.source
    lines = [HEADER, f"study: {source['name']}", "data:"]
    if proposal.dropped:
        lines.append(f"  on_bad_row: drop  # {proposal.dropped} rows cannot be used; the check lists them")
    lines += ["  sources:", *source_lines(proposal)]
    if source["images"] is not None:
        lines += ["images: {size: 128}"]
    models = [MODELS, *([NETWORK] if source["images"] is not None else []), *_metadata(proposal)]
    folds = next((count for count in (5, 3, 2) if _splits(proposal, count)), 5)
    if folds < 5:
        lines.append(f"split: {{folds: {folds}}}  # with five, a part would have no melanoma or no other image")
    return "\n".join([*lines, *models]) + "\n"


def source_lines(proposal: Proposal) -> list[str]:
    """Return the lines of the source, as an item of data.sources."""
    lines = list(_lines(proposal.source, proposal.comments, "", 6))
    return [f"    - {lines[0].strip()}", *lines[1:]]


def scalar(value: Any) -> str:
    """Return a value or key as YAML writes it in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _lines(block: Mapping[str, Any], comments: Mapping[str, str], prefix: str, indent: int) -> Iterator[str]:
    for key, value in block.items():
        name = f"{prefix}{key}"
        comment = f"  # {comments[name]}" if name in comments else ""
        nested = isinstance(value, Mapping)
        yield f"{' ' * indent}{scalar(key)}:{'' if nested else ' ' + scalar(value)}{comment}"
        if nested:
            yield from _lines(value, comments, f"{name}.", indent + 2)


def _metadata(proposal: Proposal) -> list[str]:
    inputs = [name for name in ("age", "sex", "site") if proposal.catalog[name].notna().any()]
    if not inputs and proposal.source["images"] is not None:
        return []
    inputs = inputs or ["images_per_patient"]
    return [f"  metadata: {{network: logistic_regression, inputs: [{', '.join(inputs)}]}}"]


def _splits(proposal: Proposal, folds: int) -> bool:
    """Tell whether test and so many folds would each have both classes."""
    try:
        expected_test_set(proposal.catalog, Split(folds=folds))
    except InputError:
        return False
    return True
