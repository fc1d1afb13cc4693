"""A shop's tools, for tests of what a model does with them."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.gateway.tools import registry
from django_wp_ai.models import Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.tools import ToolContext, ToolError, tool
from tests.flows.conftest import Street

NAMES = ("order_status", "stock", "closed")
#: What makes the stand-in call one of them.
CALL = '[[tool=order_status {"number": 7}]]'


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tools of a shop, and what they were asked."""
    seen: list[Any] = []
    monkeypatch.setattr(registry, "_registered", {})

    @tool()
    async def order_status(number: int, context: ToolContext) -> str:
        """Where an order is."""
        seen.append((number, context.tenant.slug, context.end_user, context.request_id))
        return f"order {number} is on its way"

    @tool()
    def stock(sku: str) -> dict[str, int]:
        """How many are left."""
        seen.append(sku)
        return {sku: 3}

    @tool()
    def closed() -> None:
        raise ToolError("The shop is closed.")

    return seen


@pytest.fixture
def shop(street: Street, seen: list[Any]) -> Street:
    """A caller whose site may use all of them."""
    change(street, allowed_tools=["*"])
    return street


def change(street: Street, **fields: Any) -> None:
    """Set fields of the caller's tenant."""
    Tenant.objects.filter(pk=street.principal.tenant.pk).update(**fields)
    street.principal.tenant.refresh_from_db()
    attach_budgets([street.principal.tenant])
