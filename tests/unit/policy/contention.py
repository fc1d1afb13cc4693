"""Many processes at once against one database and one cache: ``run`` starts them, ``main`` is one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import django


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
    from django_wp_ai.policy import rates_cache, rates_database, shared_cache
    from django_wp_ai.policy.limits import Limit

    shared_cache.TIMEOUT_S = 5.0  # a busy machine that runs tests is no dead cache
    limits = [Limit(name="rpm", quota=quota, window_s=60), Limit(name="rpd", quota=10 * quota, window_s=86_400)]
    chosen = {"cache": rates_cache, "database": rates_database}[store]
    return in_threads(lambda: chosen.take("busy", limits, now=None).allowed, calls=calls, threads=threads)


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


def call_once(tenant: Any, worst_usd: Decimal, cost_usd: Decimal | None) -> bool:
    from django_wp_ai.exceptions import BudgetExceeded

    try:
        event = opened(tenant, worst_usd)
    except BudgetExceeded:
        return False
    settled(event, cost_usd)
    return True


def opened(tenant: Any, worst_usd: Decimal | None, at: Any = None) -> Any:
    """A usage row opened with its reservation, as the ledger does it."""
    from django.db import transaction
    from django.utils import timezone

    from django_wp_ai.models import UsageEvent
    from django_wp_ai.policy import budget

    at = at or timezone.now()
    with transaction.atomic():
        reservation = budget.reserve_in_transaction(tenant, worst_usd, at=at)
        return UsageEvent.objects.create(
            tenant=tenant,
            route="v1/chat",
            provider="stand-in",
            model="m",
            created_at=at,
            reserved_usd=reservation.amount_usd,
            held_periods=list(reservation.period_ids),
        )


def settled(event: Any, cost_usd: Decimal | None) -> bool:
    """Settle a row once, as the ledger does it; whether this call did."""
    from django.db import transaction
    from django.utils import timezone

    from django_wp_ai.models import UsageEvent
    from django_wp_ai.policy import budget

    with transaction.atomic():
        mine = UsageEvent.objects.filter(pk=event.pk, state="pending").update(
            state="settled", settled_at=timezone.now(), cost_usd=cost_usd
        )
        if mine:
            budget.settle_in_transaction(event, cost_usd)
        return bool(mine)


def die_while_calling(*, tenant: int, worst_usd: str) -> None:
    """Open a call and wait for the end."""
    from django_wp_ai.models import Tenant

    opened(Tenant.objects.get(pk=tenant), Decimal(worst_usd))
    print("calling", flush=True)
    sys.stdin.read()


def main() -> None:
    django.setup()
    work, options = sys.argv[1], json.loads(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps({"take": take, "spend": spend, "die": die_while_calling}[work](**options)))


if __name__ == "__main__":
    main()
