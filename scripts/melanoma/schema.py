"""How the schema of the configuration is read."""

from typing import Any


def dereferenced(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that a schema refers to, overruled by what it says itself, or the schema if it has none."""
    return definitions[schema["$ref"].rsplit("/", 1)[-1]] | schema if "$ref" in schema else schema
