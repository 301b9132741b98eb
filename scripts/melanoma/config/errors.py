"""Pydantic's errors in plain words: the key, the value, what is allowed and the nearest allowed word."""

import difflib
from collections.abc import Mapping
from functools import reduce
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_yaml
from melanoma.config.base import Section, choices, members, type_below
from melanoma.config.networks import NETWORKS, OFFICIAL_WEIGHTS

S = TypeVar("S", bound=Section)
LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
LIMIT_WORDS = dict(zip(LIMITS, ["more than", "at least", "less than", "at most"], strict=True))
LENGTHS = {
    "string_too_short": "a length of at least",
    "too_short": "a length of at least",
    "too_long": "a length of at most",
}


def explain(error: ValidationError, section: Any, value: Any, name: str = "") -> list[str]:
    """Return a line for each error of `value`, which is no valid `section`. It begins with the dotted name of a key.

    `section` is a type of options. `name` is the dotted name of `value` itself.
    """
    lines: dict[tuple[str, str], str] = {}
    for details in error.errors(include_url=False):
        path, key = _path(details, value)
        kind = reduce(type_below, path, section)
        if not _follows(details, kind):
            parts = [name, *path, key if details["type"] == "extra_forbidden" else ""]
            where = ".".join(filter(None, parts)) or "the top level"
            # A value that fits no member of a union has an error for each member. One line says what all members take.
            lines.setdefault((where, key), f"{where}: {_problem(details, kind, key)}")
    return list(lines.values())


def wrong_value(name: str, kind: Any, value: Any) -> list[str]:
    """Return the errors of the value of an option of type `kind`, whose dotted name is `name`."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        return explain(error, kind, value, name)
    return []


def read_settings(kind: type[S], path: str | Path) -> S:
    """Return the section in a settings file of the workflow. Options that the file lacks have their defaults.

    Raises InputError with the file and all its errors if the file holds no such section.
    """
    values = read_yaml(path)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = explain(error, kind, values)
        raise InputError(f"{path} holds no valid settings:\n{listing(lines, limit=30)}") from error


def placed(error: str, places: Mapping[str, str]) -> str:
    """Put before an error, which begins with the dotted name of a key, the file and line of the key or its parent."""
    name = error.partition(": ")[0]
    while name and name not in places:
        name = name.rpartition(".")[0]
    return f"{places[name]}: {error}" if name in places else error


def nearest(word: Any, allowed: list[str]) -> str:
    """Return a question after the allowed word that is most like `word`; empty if none is."""
    match = difflib.get_close_matches(str(word), allowed, n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _follows(details: ErrorDetails, kind: Any) -> bool:
    """Tell whether an error only follows from others.

    A list without its wrong items may be too short. A list or a block of keys fits no other member of a union.
    """
    if details["type"] == "too_short":
        return bool(len(details["input"]) >= details["ctx"]["min_length"])
    fits = {"a list"} if isinstance(details["input"], list | tuple) else set()
    fits |= {"a block of keys"} if isinstance(details["input"], Mapping) else set()
    return details["type"].endswith("_type") and bool(fits & set(map(_words, members(kind))))


def _path(details: ErrorDetails, value: Any) -> tuple[list[str], str]:
    """Return the keys that lead to the value of an error, and the key that is missing, unknown or wrong, or "".

    Pydantic lists the members of unions among the keys. They are left out.
    """
    *parents, last = details["loc"] or ("",)
    if last == "[key]":
        *parents, last = parents
    elif details["type"] not in ("missing", "extra_forbidden"):
        parents, last = [*parents, last], ""
    path = []
    for part in parents:
        items: Any = dict(enumerate(value)) if isinstance(value, list | tuple) else value
        if isinstance(items, Mapping) and part in items:
            value = items[part]
            path.append(str(part))
    return path, str(last)


def _problem(details: ErrorDetails, kind: Any, key: str) -> str:
    """Say what is wrong with an option of type `kind`, or with its key `key`."""
    value, error, context = details["input"], details["type"], details.get("ctx", {})
    if error == "extra_forbidden":
        allowed = list(_section(kind).model_fields)
        return f"unknown key {key!r}{nearest(key, allowed)}; allowed: {', '.join(allowed)}"
    if error == "missing" and not key.isdecimal():
        return f"missing {key!r} ({key}: {_section(kind).model_fields[key].description})"
    if error in ("literal_error", "network", "published_network"):
        networks = NETWORKS if error == "network" else OFFICIAL_WEIGHTS
        allowed = choices(_key_type(kind) if key else kind) or [*networks, "timm/NAME"]
        return f"{value!r} is not allowed{nearest(value, allowed)}; allowed: {', '.join(allowed)}"
    if error in LIMITS:
        limit = context[LIMITS[error]]
        return f"must be {LIMIT_WORDS[error]} {int(limit) if limit == int(limit) else limit}, got {value!r}"
    if error == "string_pattern_mismatch":
        return f"{value!r} must be lower-case letters, digits and underscores, a letter first"
    if error == "string_too_long":
        return f"{value!r} has {len(value)} characters; {context['max_length']} are allowed"
    if error in LENGTHS:
        return f"must have {LENGTHS[error]} {context.get('min_length', context.get('max_length'))}, got {value!r}"
    if error == "missing":
        return f"has too few numbers, got {value!r}"
    if error == "distinct":
        return details["msg"]
    expected = "a text" if key else " or ".join(dict.fromkeys(map(_words, members(kind))))
    return f"expected {expected}, got {value!r}{_hint(value, members(kind))}"


def _section(kind: Any) -> type[Section]:
    (section,) = (member for member in members(kind) if isinstance(member, type) and issubclass(member, Section))
    return section


def _key_type(kind: Any) -> Any:
    return next(get_args(member)[0] for member in members(kind) if get_origin(member) is dict)


def _words(kind: Any) -> str:
    """Say in words what a type takes."""
    if get_origin(kind) is Literal:
        return ", ".join(choices(kind))
    words = {NoneType: "null", str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(kind) or ("a list" if get_origin(kind) is tuple else "a block of keys")


def _hint(value: Any, kinds: list[Any]) -> str:
    """Say how to write a number: a whole one without a point, others in the notation of YAML 1.1.

    YAML 1.1 reads 1e-3 as a text, and 1.0e-3 as a number.
    """
    if isinstance(value, bool) or not {int, float} & {kind for kind in kinds if isinstance(kind, type)}:
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return ""
    if not isfinite(number):
        return "; write a finite one"
    reading = "; YAML takes this for a text" if isinstance(value, str) else ""
    if int in kinds:
        return f"{reading}; write {int(number)}" if number.is_integer() else reading
    return f"{reading}, write {number!r} or, with an exponent, as in 1.0e-3"
