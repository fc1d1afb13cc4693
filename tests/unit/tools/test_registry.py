"""Registering tools: what a model is told of a function, and what can't be a tool."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from pydantic import BaseModel, Field, ValidationError

from django_wp_ai.datatypes import ChatRequest, Tool
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway.tools.registry import RegisteredTool, chosen
from django_wp_ai.models import Tenant
from django_wp_ai.tools import ToolContext, tool

CONTEXT = ToolContext(Tenant(slug="a-site"), "42", "request-1")


class Line(BaseModel):
    sku: str
    count: int = 1


def test_a_models_view_of_a_tool_comes_from_the_signature(registered: dict[str, RegisteredTool]) -> None:
    @tool(name="order-status")
    async def order_status(
        number: Annotated[int, "The number on the invoice."],
        context: ToolContext,
        schema: Literal["short", "long"] = "short",
        since: datetime.date | None = None,
        limit: Annotated[int, Field(ge=1, description="How many.")] = 3,
    ) -> str:
        """Where an order is."""
        return ""

    offered = registered["order-status"].as_offered()
    assert (offered.name, offered.description) == ("order-status", "Where an order is.")
    assert offered.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["number"],
        "properties": {
            "number": {"type": "integer", "description": "The number on the invoice."},
            "schema": {"type": "string", "enum": ["short", "long"], "default": "short"},
            "since": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
            "limit": {"type": "integer", "description": "How many.", "default": 3, "minimum": 1},
        },
    }


def test_names_and_descriptions_may_be_given_or_taken_from_the_function(registered: dict[str, RegisteredTool]) -> None:
    def plain(a: int) -> int:
        return a

    assert tool()(plain) is plain  # still the host's own function
    tool(name="other", description="Adds nothing.", timeout_s=1)(plain)
    assert [(found.name, found.description, found.timeout_s) for found in registered.values()] == [
        ("plain", "", 10.0),
        ("other", "Adds nothing.", 1.0),
    ]
    assert not registered["plain"].is_async


def test_arguments_become_what_the_annotations_say(registered: dict[str, RegisteredTool]) -> None:
    @tool()
    def buy(lines: list[Line], day: datetime.date, context: ToolContext, copy: int = 2) -> None: ...

    given = registered["buy"].arguments.read('{"lines": [{"sku": "x"}], "day": "2026-03-01"}', CONTEXT)
    day = datetime.date(2026, 3, 1)
    assert given == {"lines": [Line(sku="x", count=1)], "day": day, "copy": 2, "context": CONTEXT}


@pytest.mark.parametrize(
    "text",
    ["[1]", "5", "null", "{", "no", '{"a": "x"}', '{"a": 1, "b": 2}', '{"a": 1e999}', '{"a": 1, "context": {}}', ""],
)
def test_arguments_of_another_shape_are_refused(registered: dict[str, RegisteredTool], text: str) -> None:
    @tool()
    def one(a: int, context: ToolContext) -> None: ...

    with pytest.raises(ValidationError):
        registered["one"].arguments.read(text, CONTEXT)


def test_a_tool_without_arguments_takes_an_empty_text(registered: dict[str, RegisteredTool]) -> None:
    @tool()
    def now() -> str:
        return ""

    assert registered["now"].arguments.read("", CONTEXT) == {}
    assert registered["now"].as_offered().parameters["properties"] == {}


@pytest.mark.parametrize("name", ["a b", "ümlaut", "x" * 65, "a.b", "a\n"])
def test_a_name_that_a_vendor_would_not_take_is_refused(name: str) -> None:
    def function() -> None: ...

    with pytest.raises(ImproperlyConfigured, match="can't name a tool"):
        tool(name=name)(function)


@pytest.mark.parametrize("timeout_s", [0, -1, math.inf, math.nan, True, "5"])
def test_a_time_limit_must_limit(timeout_s: Any) -> None:
    def function() -> None: ...

    with pytest.raises(ImproperlyConfigured, match="timeout_s"):
        tool(timeout_s=timeout_s)(function)


def test_two_tools_of_one_name_are_told_with_both_their_places() -> None:
    def first() -> None: ...

    def second() -> None: ...

    tool(name="same")(first)
    with pytest.raises(ImproperlyConfigured, match=r"registered twice: by .*first.* by .*second"):
        tool(name="same")(second)


class Opaque:
    pass


def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def starred(*names: str) -> None: ...
def double_starred(**names: str) -> None: ...
def positional(a: int, /) -> None: ...
def unknown_type(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that it is missing is the test
def opaque(a: Opaque) -> None: ...
def a_callback(a: Callable[[int], int]) -> None: ...
def yields() -> Iterator[int]:
    yield 1


async def yields_later() -> AsyncIterator[int]:
    yield 1


@dataclass
class Called:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (untyped, "a needs a type annotation"),
        (starred, "names has no schema"),
        (double_starred, "names has no schema"),
        (positional, "can't be given by name"),
        (unknown_type, "not under TYPE_CHECKING only"),
        (opaque, "no JSON form"),
        (a_callback, "no JSON form"),
        (yields, "must return its result"),
        (yields_later, "must return its result"),
        (Called(), "A tool is a function"),
        (Opaque, "A tool is a function"),
    ],
)
def test_what_no_model_could_call_is_refused_with_its_reason(
    registered: dict[str, RegisteredTool], function: Any, sentence: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        tool(name="it")(function)
    assert not registered


def asking(*names: str, tools: tuple[Tool, ...] = ()) -> ChatRequest:
    return ChatRequest(messages=(), server_tools=names, tools=tools)


def test_a_tenant_has_the_tools_that_its_list_matches() -> None:
    for name in ("order_status", "order_cancel", "stock"):
        tool(name=name)(lambda: None)
    tenant = Tenant(allowed_tools=["order_*"])
    assert set(chosen(tenant, asking("order_status", "order_cancel"))) == {"order_status", "order_cancel"}
    assert chosen(tenant, asking()) == {}


def test_a_tool_that_is_not_allowed_is_told_like_one_that_is_not_there() -> None:
    tool(name="stock")(lambda: None)
    told = []
    for tenant, name in ((Tenant(), "stock"), (Tenant(allowed_tools=["*"]), "other"), (Tenant(), "other")):
        with pytest.raises(Invalid) as refused:
            chosen(tenant, asking(name))
        told.append(refused.value.errors[0] | {"message": refused.value.errors[0]["message"].replace(name, "…")})
    assert told == [{"field": "tools", "message": "This site has no tool …."}] * 3


def test_a_name_stands_for_one_tool_in_a_call() -> None:
    tool(name="stock")(lambda: None)
    tenant = Tenant(allowed_tools=["*"])
    for request in (asking("stock", "stock"), asking("stock", tools=(Tool("stock"),))):
        with pytest.raises(Invalid, match="named twice"):
            chosen(tenant, request)


def test_the_tools_of_installed_apps_are_found_at_start(
    registered: dict[str, RegisteredTool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a_shop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    source = "from django_wp_ai.tools import tool\n@tool()\ndef price(sku: str) -> str:\n    return '5'\n"
    (folder / "wp_ai_tools.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with override_settings(INSTALLED_APPS=["django_wp_ai", "a_shop"]):
        apps.get_app_config("django_wp_ai").ready()
    assert list(registered) == ["price"]
    for name in ("a_shop.wp_ai_tools", "a_shop"):
        del sys.modules[name]
