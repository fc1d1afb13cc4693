"""Many processes at once against one database and one cache: ``run`` starts them, ``main`` is one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import django

TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
PRICES = ("input_price", "output_price", "cached_input_price", "cache_write_price")
UNKNOWN = (*PRICES, "provider_status", "latency_ms", "first_token_ms")


def run(work: str, *, processes: int, **options: Any) -> list[Any]:
    """What each process printed, after all were ready and began together."""
    children = [start(work, **options) for _ in range(processes)]
    for child in children:
        wait_until_ready(child)
    for child in children:
        print("go", file=child.stdin, flush=True)
    results = [json.loads(child.communicate()[0]) for child in children]
    assert [child.returncode for child in children] == [0] * processes
    return results


def start(work: str, **options: Any) -> subprocess.Popen[str]:
    from django.conf import settings

    environment = {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TEST_DATABASE_URL": database_url(settings.DATABASES["default"]),
        "REDIS_URL": settings.CACHES["default"]["LOCATION"],
    }
    command = [sys.executable, "-m", __name__, work, json.dumps(options)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | environment)


def wait_until_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"


def database_url(values: dict[str, Any]) -> str:
    account = f"{quote(values['USER'])}:{quote(values['PASSWORD'])}@" if values["USER"] else ""
    port = f":{values['PORT']}" if values["PORT"] else ""
    socket = values["HOST"].startswith("/")
    host = "" if socket else values["HOST"]
    query = "?" + urlencode({"host": values["HOST"]}, safe="/") if socket else ""
    return f"postgresql://{account}{host}{port}/{values['NAME']}{query}"


def in_threads(call: Callable[[], Any], *, calls: int, threads: int) -> list[Any]:
    """The results of ``calls`` calls made by ``threads`` threads, each with a connection that it closes."""
    from django.db import connection

    begin = threading.Barrier(threads)

    def several(count: int) -> list[Any]:
        begin.wait()
        try:
            return [call() for _ in range(count)]
        finally:
            connection.close()

    shares = [calls // threads + (number < calls % threads) for number in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return [result for results in pool.map(several, shares) for result in results]


def take(*, quota: int, calls: int, threads: int, store: str) -> list[bool]:
    from django_wp_ai.policy import rates_cache, rates_database
    from django_wp_ai.policy.limits import Limit

    limits = [Limit(name="rpm", quota=quota, window_s=60), Limit(name="rpd", quota=10 * quota, window_s=86_400)]
    chosen = {"cache": rates_cache, "database": rates_database}[store]
    return in_threads(lambda: chosen.take("busy", limits, now=None).allowed, calls=calls, threads=threads)


def stream(*, tenant: int, calls: int, threads: int, shared: bool) -> int:
    """How many of the calls got a place among the tenant's streams; all keep theirs."""
    from uuid import uuid4

    from django_wp_ai import shared_cache
    from django_wp_ai.models import Tenant
    from django_wp_ai.policy import slots

    if not shared:
        shared_cache._shared["default"] = shared_cache.SharedCache(None)
    site = Tenant.objects.get(pk=tenant)
    limit = site.max_streams or 0
    return sum(in_threads(lambda: slots.take(site, uuid4(), limit=limit), calls=calls, threads=threads))


def break_down(*, provider: str, failures: int) -> None:
    """Fail so often, then tell of the breaker whenever asked, until told to end; ``probe`` tries to be the probe."""
    from django_wp_ai.policy import breaker

    def seen() -> dict[str, Any]:
        decision = breaker.allow(provider)
        return {"allowed": decision.allowed, "retry_after_s": decision.retry_after_s, "probe": decision.probe}

    seen()
    for _ in range(failures):
        breaker.failed(provider)
    print("failed", flush=True)
    for line in sys.stdin:
        if line == "heal\n":
            breaker.succeeded(provider, probe=True)
        print(json.dumps(seen()), flush=True)


def spend(*, tenants: list[int], calls: int, threads: int, worst_usd: str, cost_usd: str) -> int:
    """Calls that reserve, and settle for what they cost; how many were admitted."""
    from itertools import cycle

    from django_wp_ai.models import Tenant

    turn = cycle(tenants)
    lock = threading.Lock()

    def call() -> bool:
        with lock:
            tenant_id = next(turn)
        tenant = Tenant.objects.select_related("parent__parent").get(pk=tenant_id)
        return call_once(tenant, Decimal(worst_usd), Decimal(cost_usd))

    return sum(in_threads(call, calls=calls, threads=threads))


def spend_together(
    *, tenants: list[int], parties: int, of: int, threads: int, worst_usd: str, cost_usd: str
) -> list[int]:
    """As ``spend``, in parties that open together and settle together; for each how many were admitted."""
    from itertools import count

    from django_wp_ai.models import Tenant

    sites = list(Tenant.objects.select_related("parent__parent").filter(pk__in=tenants).order_by("pk"))
    number = count()

    def party() -> int:
        turn = next(number)
        callers = [sites[(turn + place) % len(sites)] for place in range(of)]
        held = [one for one in opened_together(callers, Decimal(worst_usd)) if isinstance(one, Opened)]
        done = settled_together(held, Decimal(cost_usd))
        assert done == [True] * len(held)
        return len(held)

    return in_threads(party, calls=parties, threads=threads)


def opened_together(tenants: Sequence[Any], worst_usd: Decimal, **fields: Any) -> list[Any]:
    """A row for each, opened with the others: what holds it, or its failure."""
    from django_wp_ai.policy import budget
    from django_wp_ai.together import Failed, together

    rows = [pending_row(tenant, **fields) for tenant in tenants]
    flows = [
        budget.opening_row(row, tenant=tenant, amount_usd=worst_usd, models=["stand-in:m"])
        for row, tenant in zip(rows, tenants, strict=True)
    ]
    return [
        one.error if isinstance(one, Failed) else Opened(tenant, row["call_id"], one)
        for tenant, row, one in zip(tenants, rows, together([(copy_context(), flow) for flow in flows]), strict=True)
    ]


def settled_together(held: Sequence[Opened], cost_usd: Decimal | None, **fields: Any) -> list[Any]:
    """Whether each was settled with the others, or its failure."""
    from django_wp_ai.policy import budget
    from django_wp_ai.together import Failed, together

    flows = [
        budget.settling_row(
            one.call_id, outcome(cost_usd, **fields), one.reservation, cost_usd=cost_usd, model="stand-in:m"
        )
        for one in held
    ]
    outcomes = together([(copy_context(), flow) for flow in flows])
    return [one.error if isinstance(one, Failed) else one for one in outcomes]


@dataclass(frozen=True)
class Opened:
    """A call's row and what is held for it."""

    tenant: Any
    call_id: uuid.UUID
    reservation: Any

    @property
    def event(self) -> Any:
        from django_wp_ai.models import UsageEvent

        return UsageEvent.objects.for_tenant(self.tenant).get(call_id=self.call_id)


def call_once(tenant: Any, worst_usd: Decimal, cost_usd: Decimal | None, **call: Any) -> bool:
    from django_wp_ai.exceptions import BudgetExceeded

    try:
        held = opened(tenant, worst_usd, **call)
    except BudgetExceeded:
        return False
    return settled(held, cost_usd, model=call.get("models", ("stand-in:m",))[0])


def opened(
    tenant: Any, worst_usd: Decimal | None, at: Any = None, *, end_user: str = "", models: Any = ("stand-in:m",)
) -> Opened:
    """A usage row opened with its reservation, as the ledger does it."""
    from django_wp_ai.policy import budget

    row = pending_row(tenant, at, end_user=end_user, model=models[0])
    return Opened(
        tenant, row["call_id"], budget.open_row(row, tenant=tenant, amount_usd=worst_usd, models=list(models))
    )


def pending_row(
    tenant: Any, at: Any = None, *, end_user: str = "", model: str = "stand-in:m", **fields: Any
) -> dict[str, Any]:
    """What a row says from its beginning."""
    from django.utils import timezone

    provider, _, name = model.partition(":")
    return {
        "call_id": uuid.uuid4(),
        "tenant_id": tenant.pk,
        "credential_id": None,
        "route": "chat",
        "provider": provider,
        "model": name,
        "end_user": end_user,
        "plugin": "",
        "request_id": "",
        "trace_id": None,
        "step": 0,
        "prompt_template": "",
        "streamed": False,
        "created_at": at or timezone.now(),
        **fields,
    }


def settled(held: Opened, cost_usd: Decimal | None, *, model: str = "stand-in:m") -> bool:
    """Settle a row once, as the ledger does it; whether this call did."""
    from django_wp_ai.policy import budget

    changes = outcome(cost_usd, model=model)
    return budget.settle_row(held.call_id, changes, held.reservation, cost_usd=cost_usd, model=model)


def outcome(cost_usd: Decimal | None, *, model: str = "stand-in:m", **fields: Any) -> dict[str, Any]:
    """What a row says in the end."""
    from django.utils import timezone

    provider, _, name = model.partition(":")
    return {
        "settled_at": timezone.now(),
        "provider": provider,
        "model": name,
        **dict.fromkeys(TOKENS, 0),
        **dict.fromkeys(UNKNOWN),
        "cost_usd": cost_usd,
        "estimated": False,
        "finish_reason": "stop",
        "error_code": "",
        **fields,
    }


def die_while_calling(*, tenant: int, worst_usd: str) -> None:
    """Open a call and wait for the end."""
    from django_wp_ai.models import Tenant

    opened(Tenant.objects.get(pk=tenant), Decimal(worst_usd))
    print("calling", flush=True)
    sys.stdin.read()


WORK = {
    "take": take,
    "stream": stream,
    "break": break_down,
    "spend": spend,
    "spend together": spend_together,
    "die": die_while_calling,
}


def main() -> None:
    django.setup()
    work, options = sys.argv[1], json.loads(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(WORK[work](**options)))


if __name__ == "__main__":
    main()
