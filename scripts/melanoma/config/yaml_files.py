"""What a study is given by: configuration files and --config. Where each key stands, and which were given twice."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from melanoma.common.errors import InputError, listing
from melanoma.config.base import Plain, accepts, type_below
from melanoma.config.study import Study, resolve

MERGE = "tag:yaml.org,2002:merge"
CONFIGFILE = re.compile(r"--configfiles?(=|$)")


def given_study(
    config: Plain, files: Iterable[str | Path], options: Mapping[str, Any], arguments: Sequence[str]
) -> Study:
    """Return the study that Snakemake was given, checked and with its defaults.

    `config` is what Snakemake merged from `files` and from `options`, those of --config; `arguments` are its command
    line. Raises InputError with the file and line of all that is wrong.
    """
    check_command_line(arguments)
    places = key_places(files, options)
    return resolve(with_typed_options(config, options), places)


def check_command_line(arguments: Sequence[str]) -> None:
    """Raise InputError if the command line has --configfile twice: Snakemake reads only the last one."""
    if sum(bool(CONFIGFILE.match(argument)) for argument in arguments) > 1:
        raise InputError(
            "--configfile is given twice, and Snakemake reads only the last one. Name all files after one, as in"
            " --configfile studies/a.yaml studies/b.yaml: a later one overrules an earlier one."
        )


def key_places(files: Iterable[str | Path], options: Mapping[str, Any]) -> dict[str, str]:
    """Return where each key of a configuration stands, by its dotted name: file and line, or --config.

    Of several files the later one counts, as in Snakemake's merge, and `options`, those of --config, overrule all. The
    name of the whole is empty. Raises InputError that lists every key that a mapping of a file has twice.
    """
    places: dict[str, str] = {}
    twice: dict[str, str] = {}
    for path in files:
        name = _shown(path)
        places[""] = name
        root = _composed(path)
        if root is not None:
            places |= dict(_lines(root, name, ""))
            for place, error in _twice(root, name, ""):
                twice.setdefault(place, error)  # each alias of an anchor leads to the same mapping again
    if twice:
        errors = [f"{place}: {error}" for place, error in twice.items()]
        raise InputError(f"The configuration has {len(errors)} key(s) that are given twice:\n{listing(errors)}")
    return places | dict.fromkeys(_names(options, ""), "--config")


def with_typed_options(config: Plain, options: Mapping[str, Any]) -> Plain:
    """Return `config` with the values of --config, `options`, as YAML reads them; what has to be a text stays one.

    Snakemake leaves all nested values as texts.
    """
    typed: Plain = _typed(config, options, Study)
    return typed


def _typed(value: Any, option: Any, kind: Any) -> Any:
    if isinstance(value, dict) and isinstance(option, Mapping):
        given = {key: item for key, item in option.items() if key in value}
        return value | {key: _typed(value[key], item, type_below(kind, key)) for key, item in given.items()}
    if isinstance(value, list):
        return [_typed(item, item, type_below(kind, "0")) for item in value]
    if not isinstance(value, str):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if kind is not None and accepts(kind, value) and not accepts(kind, read) else read


def _shown(path: str | Path) -> str:
    """Return the path, relative to the current folder if it is below it."""
    inside = Path(path).absolute().is_relative_to(Path.cwd())
    return relpath(path) if inside else str(path)


def _composed(path: str | Path) -> yaml.Node | None:
    """Return the file's YAML with its lines; None for JSON that is not YAML."""
    try:
        return yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _children(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield the key or number of each item, its node, and its value. Keys merged by << come first."""
    if isinstance(node, yaml.SequenceNode):
        yield from ((str(number), item, item) for number, item in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == MERGE:
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                yield from (child for source in reversed(sources) for child in _children(source))
        yield from ((str(key.value), key, value) for key, value in node.value if key.tag != MERGE)


def _lines(node: yaml.Node, file: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted name of everything below a node, and its file and line."""
    for part, written, value in _children(node):
        yield f"{prefix}{part}", _place(file, written)
        yield from _lines(value, file, f"{prefix}{part}.")


def _twice(node: yaml.Node, file: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the file and line of each repeated key of a mapping, and the error."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            before = first.setdefault(str(key.value), key)
            if before is not key and key.tag != MERGE:
                yield (
                    _place(file, key),
                    f"{prefix}{key.value} is given a second time, after line {before.start_mark.line + 1}; give it once"
                    " or by another name",
                )
    for part, _, value in _children(node):
        yield from _twice(value, file, f"{prefix}{part}.")


def _place(file: str, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _names(options: Any, prefix: str) -> Iterator[str]:
    """Yield the dotted name of everything that --config gives."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield f"{prefix}{key}"
            yield from _names(value, f"{prefix}{key}.")
