"""A budget of 5 dollars, a thousand calls at once from four processes, and a vendor that bills to the cent."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from subprocess import Popen
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai.models import BudgetAlert, BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.policy import budget
from tests.api.conftest import options
from tests.factories import TenantFactory, make_credential
from tests.load import spenders
from tests.vendor.running import RunningVendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

PROCESSES, CALLS = 4, 1000
CAP = Decimal(5)
OUTPUT_USD = Decimal("0.0001")  # of one token: a call of 60 to 100 tokens costs 0.6 to 1 cent, its worst case is a cent

#: A busy machine that runs tests is no broken vendor; one stand-in can't take a thousand connections in one moment.
PATIENT = {
    "PROVIDER_MAX_CONNECTIONS": 20,
    "PROVIDER_CONNECT_TIMEOUT_S": 300,
    "PROVIDER_TIMEOUT_S": 300,
    "CALL_DEADLINE_S": 900,
    "CACHE_TIMEOUT_S": 5,
}


def texts() -> list[str]:
    """Calls that use all sorts of amounts, 8 dollars in all."""
    return [f"Hi [[usage=10,{60 + number % 41} delay=0.05]]" for number in range(CALLS)]


@pytest.fixture
def site() -> Tenant:
    tenant = TenantFactory.create(budget_month_usd=CAP, parent=TenantFactory.create(budget_day_usd=CAP + 1))
    make_credential("api_key", tenant=tenant)
    return tenant


@contextmanager
def spending(site: Tenant, vendor: RunningVendor, *, wait_s: float) -> Iterator[list[Popen[str]]]:
    """The processes, all of which begin at once; a call waits so long for money that is only held for others."""
    prices = {"openai:gpt-4o-mini": {"input": "0", "output": str(OUTPUT_USD * 1_000_000)}}
    settings = {**options(vendor.url), **PATIENT, "PRICES": prices, "BUDGET_WAIT_S": wait_s}
    calls = texts()
    running = [spenders.start(settings, tenant=site.pk, texts=calls[number::PROCESSES]) for number in range(PROCESSES)]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            spenders.go(process)
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def outcome(process: Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    assert process.wait() == 0
    return found


def billed(vendor: RunningVendor) -> Decimal:
    """What the vendor charges for all that reached it."""
    used = [re.search(r"usage=10,(\d+)", json.dumps(request.body)) for request in vendor.requests]
    return OUTPUT_USD * sum(int(match[1]) for match in used if match)


def month(tenant: Tenant) -> BudgetPeriod:
    return BudgetPeriod.objects.for_tenant(tenant).get(kind="month", subject="")


def test_a_thousand_calls_spend_the_budget_and_not_a_cent_more(site: Tenant, vendor: RunningVendor) -> None:
    with spending(site, vendor, wait_s=300) as running:
        outcomes = [outcome(process) for process in running]

    spent = month(site)
    assert Decimal("4.90") <= spent.spent_usd <= CAP
    assert spent.reserved_usd == 0
    assert billed(vendor) == spent.spent_usd == UsageEvent.objects.for_tenant(site).spend()
    assert sum(each["answered"] for each in outcomes) == UsageEvent.objects.count() == len(vendor.requests)
    assert sum(each["refused"] for each in outcomes) == CALLS - len(vendor.requests)
    assert BudgetPeriod.objects.for_tenant(site.parent).get(kind="day").spent_usd == spent.spent_usd
    assert sorted(BudgetAlert.objects.values_list("tenant_id", "kind", "level")) == sorted(
        [(site.pk, "month", "near"), (site.parent_id, "day", "near")]
    )


def test_a_process_killed_in_the_middle_changes_nothing_of_that(site: Tenant, vendor: RunningVendor) -> None:
    with spending(site, vendor, wait_s=3) as running:  # what the dead one held comes back with the sweep only
        while UsageEvent.objects.filter(state="settled").count() < 100:
            time.sleep(0.01)
        running[0].kill()
        for process in running[1:]:
            outcome(process)
        running[0].wait()

    left = month(site)
    assert left.spent_usd + left.reserved_usd <= CAP
    assert billed(vendor) <= CAP
    pending = UsageEvent.objects.filter(state="pending").count()
    now = timezone.now()
    assert budget.settle_stale(opened_before=now, at=now) == pending
    swept = month(site)
    assert Decimal("4.90") <= swept.spent_usd <= CAP
    assert swept.reserved_usd == 0
    assert billed(vendor) <= swept.spent_usd == UsageEvent.objects.for_tenant(site).spend()
