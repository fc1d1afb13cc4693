"""From a function's signature to the arguments a model must give."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from django_wp_ai.models import Tenant


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Whose call a tool runs in. It never comes from the model: a parameter with this annotation is filled in."""

    tenant: Tenant
    end_user: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a function takes: ``schema`` as a model is told, ``model`` to check what it then gives."""

    model: type[BaseModel]
    schema: Mapping[str, Any]
    names: tuple[str, ...]
    context_name: str = ""

    def read(self, text: str, context: ToolContext) -> dict[str, Any]:
        """Keyword arguments from a model's JSON text; raises pydantic's ValidationError."""
        checked = self.model.model_validate_json(text.strip() or "{}")
        given: dict[str, Any] = {name: getattr(checked, _field(at)) for at, name in enumerate(self.names)}
        if self.context_name:
            given[self.context_name] = context
        return given


class _Untitled(GenerateJsonSchema):
    """A schema without pydantic's titles, which only repeat the names and are paid for by the token."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False


def arguments_of(function: Callable[..., Any], *, name: str) -> Arguments:
    """The arguments of ``function``; raises ImproperlyConfigured for a signature that no model could fill."""
    hints = _hints(function, name)
    fields: dict[str, Any] = {}
    names: list[str] = []
    context_name = ""
    for parameter in inspect.signature(function).parameters.values():
        _check(parameter, hints, name)
        hint = hints[parameter.name]
        if _bare(hint) is ToolContext:
            context_name = parameter.name
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[_field(len(names))] = (_described(hint), Field(default, alias=parameter.name))
        names.append(parameter.name)
    try:
        model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=_Untitled)
    except PydanticUserError as error:
        raise ImproperlyConfigured(f"Tool {name!r}: an argument's type has no JSON form. {error.message}") from error
    schema.pop("title", None)
    return Arguments(model, schema, tuple(names), context_name)


def _field(position: int) -> str:
    """A name that no attribute of a pydantic model has; callers see the alias."""
    return f"argument_{position}"


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ImproperlyConfigured(
            f"Tool {name!r}: {error}. An argument's type is needed when the program runs, not under TYPE_CHECKING only."
        ) from error


def _check(parameter: inspect.Parameter, hints: Mapping[str, Any], name: str) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ImproperlyConfigured(f"Tool {name!r}: *{parameter.name} has no schema; name each argument.")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ImproperlyConfigured(f"Tool {name!r}: {parameter.name} can't be given by name; drop the slash.")
    if parameter.name not in hints:
        raise ImproperlyConfigured(f"Tool {name!r}: {parameter.name} needs a type annotation.")


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _described(hint: Any) -> Any:
    """``Annotated[int, "The number on the invoice."]`` in pydantic's words; other metadata stays as it is."""
    if get_origin(hint) is not Annotated:
        return hint
    bare, *metadata = get_args(hint)
    for item in metadata:
        bare = Annotated[bare, Field(description=item) if isinstance(item, str) else item]
    return bare
