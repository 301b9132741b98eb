"""How the schema of the configuration is read, and how values are checked against it."""

from math import isfinite
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.validators import extend


def dereferenced(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that a schema refers to, overruled by what it says itself, or the schema if it has none."""
    return definitions[schema["$ref"].rsplit("/", 1)[-1]] | schema if "$ref" in schema else schema


def without_unread(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Return the filled-in `value` of `schema` with every option that nothing reads at its default.

    The schema says `unread_if: {name: [adam]}` of an option that is not read where its sibling `name` is adam. In a
    section with a `probability`, no other option is read where that is 0. So two values that decide the same are equal.
    """
    options = {
        name: dereferenced(option, definitions)
        for name, option in dereferenced(schema, definitions).get("properties", {}).items()
    }
    if not isinstance(value, dict):
        return value
    return {
        key: item
        if key not in options
        else _default(options[key], definitions)
        if _unread(key, value, options[key])
        else without_unread(item, options[key], definitions)
        for key, item in value.items()
    }


def _unread(key: str, siblings: dict[str, Any], option: dict[str, Any]) -> bool:
    impossible = siblings.get("probability") == 0 and key != "probability"
    return impossible or any(siblings[other] in values for other, values in option.get("unread_if", {}).items())


def _default(option: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "properties" in option and option.get("default", {}) == {}:
        return {key: _default(dereferenced(sub, definitions), definitions) for key, sub in option["properties"].items()}
    return option["default"]


def below(schema: dict[str, Any], part: str, definitions: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a key of what `schema` describes, or of an item by its number; None if there is none."""
    child = schema.get("items") if part.isdecimal() else schema.get("properties", {}).get(part)
    child = schema.get("additionalProperties") if child is None else child
    return dereferenced(child, definitions) if isinstance(child, dict) else None


def validator(schema: dict[str, Any], definitions: dict[str, Any]) -> Draft202012Validator:
    """Return what checks values against a part of the schema that holds `definitions`.

    A whole number is written without a point, so that no code meets a 3.0 where it counts; a number is finite.
    """
    return _Strict({**schema, "$defs": definitions})


def _is_whole(_checker: TypeChecker, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: TypeChecker, value: Any) -> bool:
    return _is_whole(_checker, value) or (isinstance(value, float) and isfinite(value))


_Strict = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole).redefine("number", _is_number),
)
