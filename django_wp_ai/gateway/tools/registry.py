"""Which tools the host has: functions registered by decorator, found at start in its apps' ``wp_ai_tools`` modules."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.datatypes import ChatRequest, Tool
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway.tools.signature import Arguments, arguments_of
from django_wp_ai.models import Tenant

DEFAULT_TIMEOUT_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)  # what every vendor takes

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A function that models may have run."""

    name: str
    function: Callable[..., Any]
    arguments: Arguments
    description: str
    timeout_s: float

    @property
    def is_async(self) -> bool:
        """Whether it is awaited; any other runs in a thread."""
        return inspect.iscoroutinefunction(self.function)

    def as_offered(self) -> Tool:
        """As a model is told of it."""
        return Tool(self.name, self.description, self.arguments.schema)


_registered: dict[str, RegisteredTool] = {}


def tool(
    *, name: str = "", description: str = "", timeout_s: float = DEFAULT_TIMEOUT_S
) -> Callable[[FunctionT], FunctionT]:
    """Register a function, plain or ``async``, as a tool, and leave it as it is.

    ``name`` defaults to the function's own, ``description`` to its docstring. Arguments are told to the model by the
    signature: types, defaults, and ``Annotated[…, "a description"]``. A parameter annotated with ``ToolContext`` is
    filled in. Raises ImproperlyConfigured for what can't be a tool.
    """

    def register(function: FunctionT) -> FunctionT:
        found = _build(function, name, description, timeout_s)
        if found.name in _registered:
            raise ImproperlyConfigured(
                f"Tool {found.name!r} is registered twice: by {_where(_registered[found.name].function)} "
                f"and by {_where(function)}."
            )
        _registered[found.name] = found
        return function

    return register


def _build(function: Callable[..., Any], name: str, description: str, timeout_s: float) -> RegisteredTool:
    if not inspect.isfunction(function):
        raise ImproperlyConfigured(f"A tool is a function, plain or async, not {type(function).__name__}.")
    name = name or function.__name__
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ImproperlyConfigured(
            f"{name!r} can't name a tool: 1 to 64 letters, digits, underscores and hyphens are allowed."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ImproperlyConfigured(f"Tool {name!r} must return its result, not yield it.")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not 0 < timeout_s < math.inf:
        raise ImproperlyConfigured(f"Tool {name!r}: timeout_s must be a number of seconds, more than 0.")
    text = description or inspect.getdoc(function) or ""
    return RegisteredTool(name, function, arguments_of(function, name=name), text, float(timeout_s))


def _where(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def is_allowed(tenant: Tenant, name: str) -> bool:
    """Whether a tenant's calls may have the tool run; an empty list allows none."""
    return any(fnmatchcase(name, entry) for entry in tenant.allowed_tools)


def chosen(tenant: Tenant, request: ChatRequest) -> dict[str, RegisteredTool]:
    """The host's tools that a call names; raises Invalid where one is unknown, not allowed, or named twice."""
    found: dict[str, RegisteredTool] = {}
    taken = {offered.name for offered in request.tools}
    for name in request.server_tools:
        if name in taken:
            raise _invalid(f"The tool {name} is named twice.")
        if name not in _registered or not is_allowed(tenant, name):  # told alike: a name must not tell what exists
            raise _invalid(f"This site has no tool {name}.")
        taken.add(name)
        found[name] = _registered[name]
    return found


def _invalid(message: str) -> Invalid:
    return Invalid(message, errors=[{"field": "tools", "message": message}], param="tools")
