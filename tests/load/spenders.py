"""Processes that spend one tenant's money at once: ``start`` begins one, ``main`` is one of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
from asgiref.sync import ThreadSensitiveContext

ROOT = Path(__file__).resolve().parents[2]


def start(options: dict[str, Any], **work: Any) -> subprocess.Popen[str]:
    """A process on the test's database and cache, with these ``DJANGO_WP_AI`` options; it waits for a line."""
    from django.db import connection

    from tests.services import redis_url

    database = {**connection.settings_dict, "NAME": str(connection.settings_dict["NAME"]), "CONN_MAX_AGE": 60}
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE": json.dumps(database),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps(options),
    }
    command = [sys.executable, "-m", __name__, json.dumps(work)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)


def go(process: subprocess.Popen[str]) -> None:
    """Let one that is ready begin."""
    assert process.stdin is not None
    print("go", file=process.stdin, flush=True)


async def spend(*, tenant: int, texts: list[str]) -> dict[str, int]:
    """Make all calls at once; what became of them."""
    from django_wp_ai.providers import registry

    async with ThreadSensitiveContext():  # as a server does it: database work goes to the pool of threads
        principal = await asyncio.to_thread(_principal, tenant)
        answered = await asyncio.gather(*(_call(principal, text) for text in texts))
        await registry.aclose()
    return {"answered": sum(answered), "refused": len(texts) - sum(answered)}


async def _call(principal: Any, text: str) -> bool:
    """Whether the call was answered, and not refused by the budget."""
    from django_wp_ai.datatypes import ChatRequest, Message, TextPart
    from django_wp_ai.exceptions import BudgetExceeded
    from django_wp_ai.gateway.chat import complete
    from django_wp_ai.gateway.origin import Origin

    request = ChatRequest(messages=(Message("user", (TextPart(text),)),), max_tokens=100, end_user="7")
    try:
        await complete(principal, request, Origin("chat"))
    except BudgetExceeded:
        return False
    return True


def _principal(tenant_id: int) -> Any:
    from django.db import connection

    from django_wp_ai.datatypes import Principal
    from django_wp_ai.models import Credential
    from django_wp_ai.models.budget import attach_budgets

    try:
        credential = Credential.objects.select_related("tenant").get(tenant_id=tenant_id)
        attach_budgets([credential.tenant])
    finally:
        connection.close()
    return Principal(tenant=credential.tenant, credential=credential, scopes=frozenset({"chat"}), method="api_key")


def main() -> None:
    django.setup()
    work = json.loads(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(spend(**work))))


if __name__ == "__main__":
    main()
