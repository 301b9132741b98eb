"""Write the page that documents the options of a study, and the JSON schema by which editors check a study.

python scripts/configuration.py --page docs/configuration.md --schema schemas/config.schema.json
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from melanoma.common.cli import run
from melanoma.common.files import write_text
from melanoma.config.base import Section, choices, members, option_type
from melanoma.config.data import KNOWN_DOWNLOADS
from melanoma.config.study import Study

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
INTRODUCTION = """# Configuration

A study is one YAML file, or several. Every key that it may have is below. An unknown key is an error, and a key that is
left out has its default. `config.yaml` is an example. This page is generated from the models in
`scripts/melanoma/config/` by `make docs`. `schemas/config.schema.json` is generated, too: an editor can check a study
by it.

A whole number has no point (3, not 3.0). A number in the notation of 1.0e-3 needs its point. A key that is given twice
in one place is an error. Every error names the file and line.

**Several files** may follow `--configfile`, as in `--configfile studies/isic2020.yaml studies/tuned.yaml`. Snakemake
merges them key by key. A later file overrules an earlier one, and a list is replaced as a whole. A second file that
changes two lines of the first one is two lines long. A model, a fusion or a download that is `null` is removed.
`config.yaml` is read only without `--configfile`. The option `--configfile` itself must be given once.

**`--config`** overrules all files. It takes the keys of the top level, each with its value in YAML or JSON:
`--config study=mine 'split={seed: 3}'`, with a space after each colon. Snakemake refuses `split.seed=3`.

Snakemake reads the files before it reads this project. If a file is missing, Snakemake prints a traceback, and its last
line has the name. If a file is not YAML, Snakemake names neither the file nor the line.
"""


class EditorSchema(GenerateJsonSchema):
    """JSON schema in which no key has a title, which would only repeat the key, and lists have their least length."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say no."""
        return False

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Return the JSON schema of a part. pydantic takes the length of a list with a check of ours for a text's."""
        made = super().generate_inner(schema)
        if made.get("type") == "array" and "minLength" in made:
            made["minItems"] = made.pop("minLength")
        return made


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--page", type=Path, required=True, help="Markdown page to write")
    parser.add_argument("--schema", type=Path, required=True, help="JSON schema to write")


def main(args: argparse.Namespace) -> None:
    """Write the page and the schema."""
    write_text(args.page, configuration_page())
    write_text(args.schema, configuration_schema())


def configuration_schema() -> str:
    """Return the JSON schema of a study, with one line for each model."""
    schema = Study.model_json_schema(schema_generator=EditorSchema)
    required = schema.pop("required")
    schema["anyOf"] = [{"required": required}, {"required": ["study", "classify"]}]
    models = [f"{json.dumps(name)}: {json.dumps(model)}" for name, model in schema.pop("$defs").items()]
    return '{"$defs": {\n' + ",\n".join(models) + "\n},\n" + json.dumps(schema)[1:] + "\n"


def configuration_page() -> str:
    """Return a Markdown page with a table of every option: its key, values, default and meaning."""
    lines = [INTRODUCTION.rstrip()]
    for name, field in Study.model_fields.items():
        section, prefix = _below(option_type(Study, name))
        title = f"{name}.{prefix}".removesuffix(".") if name in ("models", "fusions", "classify") else name
        lines += ["", f"## {title}", "", f"{field.description}"]
        if section is not None:
            table = ["| key | values | default | meaning |", "|---|---|---|---|"]
            lines += ["", *table, *_rows(section, prefix if name == "fetch" else "")]
        if name == "fetch":
            lines += ["", "Known downloads:", "", *(f"- `{key}`: {item.url}" for key, item in KNOWN_DOWNLOADS.items())]
    return "\n".join(lines) + "\n"


def _rows(section: type[Section], prefix: str) -> Iterator[str]:
    """One row for each option below `section`, depth first."""
    for name, field in section.model_fields.items():
        key, kind = f"{prefix}{name}", option_type(section, name)
        yield f"| `{key}` | {_values(kind)} | {_default(field)} | {field.description} |"
        below, inside = _below(kind)
        if below is not None:
            yield from _rows(below, f"{key}{'[]' if inside == '[].' else ''}.{inside.removeprefix('[].')}")


def _below(kind: Any) -> tuple[type[Section] | None, str]:
    """Return the section in a type, and the first part of its options' keys: a list, a name, or nothing."""
    for member in members(kind):
        if isinstance(member, type) and issubclass(member, Section):
            return member, ""
        if get_origin(member) in (tuple, dict):
            section, _ = _below(get_args(member)[0 if get_origin(member) is tuple else 1])
            if section is not None:
                return section, "[]." if get_origin(member) is tuple else "<name>."
    return None, ""


def _default(field: FieldInfo) -> str:
    """Return the default as YAML writes it; - for a block of keys, each of which has its own."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section) or value == KNOWN_DOWNLOADS:
        return "-"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _values(kind: Any) -> str:
    """Say which values an option takes, in words."""
    if get_origin(kind) is Annotated:
        extra = get_args(kind)[1:]
        marks = [mark for each in extra for mark in (each.metadata if isinstance(each, FieldInfo) else [each])]
        limits = [f"{sign} {getattr(mark, key)}" for key, sign in SIGNS.items() for mark in marks if hasattr(mark, key)]
        patterns = [mark.pattern for mark in marks if getattr(mark, "pattern", None)]
        text = f"`{patterns[0].strip('^$')}`" if patterns else _values(get_args(kind)[0])
        return " ".join([text, ", ".join(limits)]).strip()
    if get_origin(kind) is Literal:
        return ", ".join(f"`{word}`" for word in choices(kind))
    if get_origin(kind) is tuple:
        return f"list of {_values(get_args(kind)[0])}"
    words = {NoneType: "`null`", str: "text", int: "integer", float: "number", bool: "`true`, `false`", Any: "anything"}
    if kind in words:
        return words[kind]
    if get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, Section)):
        return "block of keys"
    return " or ".join(dict.fromkeys(map(_values, get_args(kind))))


if __name__ == "__main__":
    run(describe, main, __doc__)
