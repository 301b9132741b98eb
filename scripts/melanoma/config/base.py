"""The base of all sections of a configuration: strict types, limits, and access to options by their names."""

import json
from functools import reduce
from types import NoneType
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

T = TypeVar("T")
# A block of keys as YAML and JSON hold it. Only the model of the section knows the type of each value.
Plain = dict[str, Any]

# Strict: 3.0 is no whole number, so that no code meets a 3.0 as a count, and true is no number.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Probability = Annotated[Number, Field(ge=0, le=1)]
Seed = Annotated[Whole, Field(ge=0, le=2**32 - 1)]
Name = Annotated[Text, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Input = Literal["age", "sex", "site", "images_per_patient", "size"]


def _distinct(items: tuple[T, ...]) -> tuple[T, ...]:
    written = [json.dumps(item) for item in items]
    for number, item in enumerate(items):
        if written[number] in written[:number]:
            raise PydanticCustomError("distinct", "{item} is given twice; give each value once", {"item": repr(item)})
    return items


Distinct = Annotated[tuple[T, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]


class Section(BaseModel):
    """A block of keys of a configuration. Unknown keys are errors; no value changes after it is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_read(self) -> Self:
        """Return a copy with every option that nothing reads at its default, so that equal meanings are equal values.

        A field with `unread_if(name=["adam"])` is not read where its sibling `name` is adam. In a section with a
        `probability`, no other option is read where the probability is 0.
        """
        changes = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if self._is_unread(name, field):
                changes[name] = field.get_default(call_default_factory=True)
            elif isinstance(value, Section):
                changes[name] = value.as_read()
        return self.model_copy(update=changes)

    def _is_unread(self, name: str, field: FieldInfo) -> bool:
        if name != "probability" and getattr(self, "probability", None) == 0:
            return True
        extra = field.json_schema_extra
        conditions: Any = extra.get("unread_if", {}) if isinstance(extra, dict) else {}
        return any(getattr(self, other) in values for other, values in conditions.items())

    def dump(self) -> Plain:
        """Return the section as YAML and JSON hold it, with every option."""
        return self.model_dump(mode="json")


def unread_if(**conditions: list[JsonValue]) -> JsonDict:
    """Return the mark of a field that nothing reads if a sibling field has one of the values given here."""
    return {"unread_if": {**conditions}}


def help_text(section: type[Section], name: str) -> str:
    """Return the description of an option as the help of a script's argument, which gives a % two meanings."""
    return (section.model_fields[name].description or "").replace("%", "%%")


def option_type(section: Any, name: str) -> Any:
    """Return the type, with its limits, of the option at a dotted name below a type; None if there is none."""
    return reduce(type_below, name.split("."), section)


def type_below(kind: Any, part: str) -> Any:
    """Return the type of a field, of a dictionary's value or of a list's item, by its name or number; None if none."""
    return next((child for member in members(kind) if (child := _child(member, part)) is not None), None)


def _child(kind: Any, part: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Section):
        field = kind.model_fields.get(part)
        return None if field is None else Annotated[field.annotation, *field.metadata, Field()]
    if get_origin(kind) is tuple and part.isdecimal():
        return get_args(kind)[0]
    return get_args(kind)[1] if get_origin(kind) is dict else None


def members(kind: Any) -> list[Any]:
    """Return the types that a union has, without their limits; a type that is no union is its only member."""
    if get_origin(kind) is Annotated:
        return members(get_args(kind)[0])
    if get_origin(kind) in (None, tuple, dict, Literal):
        return [kind]
    return [member for part in get_args(kind) for member in members(part)]


def choices(kind: Any) -> list[str]:
    """Return the words of a type that is a choice, as YAML writes them; empty for other types."""
    literals = [value for member in members(kind) if get_origin(member) is Literal for value in get_args(member)]
    nullable = ["null"] if literals and NoneType in members(kind) else []
    return [str(value) for value in literals] + nullable


def accepts(kind: Any, value: Any) -> bool:
    """Tell whether the type of an option allows a value."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True
