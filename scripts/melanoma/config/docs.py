"""The schema of the configuration as a page of documentation."""

from collections.abc import Iterator
from typing import Any

from melanoma.config.schema import dereferenced


def configuration_page(schema: dict[str, Any]) -> str:
    """Return a Markdown page with a table of every option: its key, values, default and meaning."""
    lines = [
        "# Configuration",
        "",
        "A study is one YAML file. Every key that it may have is below; unknown keys are errors, and what is left out",
        "takes the default. `config.yaml` shows all of it used. This page is made from `schemas/config.schema.yaml` by",
        "`make docs`.",
        "",
        "Whole numbers have no point (3, not 3.0), and a number in the notation of 1.0e-3 needs its point. A key that",
        "is given twice in one place is an error. Every error names the file and line.",
        "",
        "**Several files** may follow one `--configfile`. They are merged as Snakemake does it, key by key: a later",
        "file overrules an earlier one, and a list is replaced as a whole. So the models of both are in the study, and",
        "a second file that changes two lines of the first is two lines long. `--configfile` given twice is an error.",
        "",
        "**`--config`** overrules all files. It takes the keys of the top level, each with its value in YAML or JSON:",
        "`--config study=mine 'split={seed: 3}'`, with a space after each colon; Snakemake refuses `split.seed=3`.",
        "",
        "Snakemake reads the files before it reads this project. For one that is not there it prints a traceback, and",
        "its last line has the name; for one that is not YAML it names neither file nor line.",
    ]
    sections = {name: sub for name, sub in schema["properties"].items() if name != "models"}
    sections["models.<name>"] = schema["$defs"]["recipe"]
    for name, section in sections.items():
        lines += ["", f"## {name}", "", section["description"]]
        rows = list(_rows(section, "", schema["$defs"]))
        if rows:
            lines += ["", "| key | values | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _rows(schema: dict[str, Any], prefix: str, definitions: dict[str, Any]) -> Iterator[str]:
    """One row for each option below `schema`, depth first."""
    schema = dereferenced(schema, definitions)
    for name, option in schema.get("properties", {}).items():
        option = dereferenced(option, definitions)
        key = f"{prefix}{name}"
        if option.get("properties") and option.get("default"):
            # A known download: its one line is enough, the keys stand below once.
            yield f"| `{key}` | object | `{option['default']['url']}` | {option['description']} |"
            continue
        if not option.get("properties"):
            absent = "required" if name in schema.get("required", []) else "-"
            default = _shown(option["default"]) if "default" in option else absent
            yield f"| `{key}` | {_values(option)} | {default} | {option.get('description', '')} |"
        yield from _rows(option, f"{key}.", definitions)
    for child, inside in (("items", f"{prefix.removesuffix('.')}[]."), ("additionalProperties", f"{prefix}<name>.")):
        if isinstance(schema.get(child), dict):
            yield from _rows(schema[child], inside, definitions)


def _shown(value: Any) -> str:
    words = {True: "true", False: "false"}
    return f"`{'null' if value is None else words[value] if isinstance(value, bool) else value}`"


def _values(option: dict[str, Any]) -> str:
    """Say which values an option takes, in words."""
    if "anyOf" in option:
        return ", ".join(_values(choice) for choice in option["anyOf"])
    if "pattern" in option:
        return f"`{option['pattern'].strip('^$')}`"
    if "enum" in option:
        return ", ".join(f"`{value}`" for value in option["enum"])
    types = option.get("type", "")
    kinds = " or ".join([types] if isinstance(types, str) else types)
    if types == "array" and "items" in option:
        kinds = f"list of {_values(option['items'])}"
    low = [f"≥ {option['minimum']}"] if "minimum" in option else []
    low += [f"> {option['exclusiveMinimum']}"] if "exclusiveMinimum" in option else []
    high = [f"≤ {option['maximum']}"] if "maximum" in option else []
    high += [f"< {option['exclusiveMaximum']}"] if "exclusiveMaximum" in option else []
    return " ".join([kinds, ", ".join(low + high)]).strip()
