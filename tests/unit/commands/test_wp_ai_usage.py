from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from django_wp_ai.models import Tenant, UsageEvent
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

MARCH = ("--from", "2026-03-01", "--to", "2026-03-31")


def used(tenant: Tenant, at: datetime, **fields: Any) -> None:
    defaults = {"route": "chat", "provider": "openai", "model": "m", "state": "settled", "settled_at": at}
    UsageEvent.objects.create(tenant=tenant, created_at=at, **{**defaults, **fields})


@pytest.fixture
def tenants() -> tuple[Tenant, Tenant]:
    first, second = TenantFactory(slug="a-site"), TenantFactory(slug="b-site", timezone="Pacific/Auckland")
    used(first, datetime(2026, 3, 10, tzinfo=UTC), cost_usd=Decimal("0.5"), input_tokens=7, end_user="=1+1")
    used(first, datetime(2026, 3, 31, 23, 59, tzinfo=UTC), cost_usd=None)
    used(first, datetime(2026, 4, 1, tzinfo=UTC), cost_usd=Decimal(100))
    used(second, datetime(2026, 2, 28, 11, 0, tzinfo=UTC), cost_usd=Decimal("0.25"))  # March there
    return first, second


def test_json_has_totals_and_groups_of_each_tenant(shell, tenants):
    told = shell.json("wp_ai_usage", *MARCH, "--group-by", "end_user,model")["tenants"]
    assert [one["tenant"] for one in told] == ["a-site", "b-site"]
    assert (told[0]["totals"]["calls"], told[0]["totals"]["cost_usd"]) == (2, 0.5)
    assert told[0]["totals"]["unknown_price"] == 1
    assert told[1]["totals"]["cost_usd"] == 0.25
    assert told[0]["group_by"] == ["end_user", "model"]
    assert [(group["end_user"], group["calls"]) for group in told[0]["groups"]] == [("", 1), ("=1+1", 1)]
    assert datetime.fromisoformat(told[1]["from"]) == datetime(2026, 2, 28, 11, tzinfo=UTC)


def test_csv_has_a_row_for_each_tenant_and_group_and_no_formula(shell, tenants):
    printed = shell.run("wp_ai_usage", *MARCH, "--csv", "--group-by", "end_user")
    header, *rows = csv.reader(io.StringIO(printed, newline=""))
    assert header[:3] == ["tenant", "end_user", "calls"]
    assert [row[:3] for row in rows] == [["a-site", "", "1"], ["a-site", "'=1+1", "1"], ["b-site", "", "1"]]
    assert printed.endswith("\r\n")
    assert dict(zip(header, rows[1], strict=True))["cost_usd"] == "0.500000000"


def test_a_table_is_for_people(shell, tenants):
    lines = shell.run("wp_ai_usage", *MARCH).splitlines()
    assert lines[0].split()[:3] == ["tenant", "calls", "input_tokens"]
    assert [line.split()[:2] for line in lines[1:]] == [["a-site", "2"], ["b-site", "1"]]


def test_one_tenant_is_shown_alone(shell, tenants):
    assert [one["tenant"] for one in shell.json("wp_ai_usage", *MARCH, "--tenant", "b-site")["tenants"]] == ["b-site"]
    with pytest.raises(CommandError, match="no tenant 'nobody'"):
        shell.run("wp_ai_usage", "--tenant", "nobody")


def test_without_a_time_it_is_this_month(shell):
    tenant = TenantFactory()
    used(tenant, timezone.now())
    used(tenant, datetime(2026, 3, 10, tzinfo=UTC))
    [told] = shell.json("wp_ai_usage")["tenants"]
    assert told["totals"]["calls"] == 1
    assert datetime.fromisoformat(told["from"]) == tenant.start_of_month()


def test_without_tenants_or_groups_it_says_so(shell):
    assert "Nothing was used" in shell.run("wp_ai_usage")
    TenantFactory()
    assert "Nothing was used" in shell.run("wp_ai_usage", "--group-by", "day")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "yesterday"], "from: Give a date"),
        (["--to", "2026-13-01"], "to: Give a date"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], "after the beginning"),
        (["--from", "2020-01-01", "--to", "2026-03-01"], "400 days"),
        (["--group-by", "tenant"], "no group"),
        (["--group-by", "day,,model"], "commas"),
        (["--csv", "--json"], "one of"),
        (["--surprise"], "unrecognized"),
    ],
)
def test_a_wrong_option_is_one_line(shell, words, said):
    TenantFactory()
    with pytest.raises(CommandError, match=said) as caught:
        shell.run("wp_ai_usage", *words)
    assert "\n" not in str(caught.value)
