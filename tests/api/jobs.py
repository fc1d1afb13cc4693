"""A kind of job for the API's tests, and calls about jobs in a site's name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from django_wp_ai.jobs import payload, registry
from django_wp_ai.models import Job, Tenant
from tests.api.conftest import Site
from tests.signing import fresh_claims, hs256

JOB = {"kind": "echo", "input": {"text": "hello"}}


class Echo(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(min_length=1)
    times: int = 1


async def echo(_: Any, given: Echo) -> Echo:
    return given


@pytest.fixture(autouse=True)
def kind_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``job_kind`` would register, for the length of a test."""
    monkeypatch.setitem(registry._kinds, "echo", registry.JobKind("echo", Echo, Echo, echo))


def create(site: Site, body: Any = None, *, headers: dict[str, str] | None = None, **named: str) -> Any:
    sent = {**(site.auth if headers is None else headers), **{name.replace("_", "-"): v for name, v in named.items()}}
    return site.post("v1/jobs", JOB if body is None else body, headers=sent)


def created(site: Site, body: Any = None, **named: Any) -> Job:
    response = create(site, body, **named)
    assert response.status_code == 202, response.content
    return Job.objects.get(pk=response.json()["id"])


def as_user(site: Site, subject: str, **claims: Any) -> dict[str, str]:
    jwt = site.keys.jwt
    token = hs256(jwt.secret, fresh_claims(sub=subject, **claims), kid=jwt.credential.key_id)
    return {"Authorization": f"Bearer {token}"}


def stored(tenant: Tenant, *, result: Any = None, **fields: Any) -> Job:
    """A job as a row, in whatever state."""
    now = datetime.now(UTC)
    if fields.get("status") in ("succeeded", "failed", "cancelled"):
        fields = {"started_at": now - timedelta(seconds=2), "finished_at": now, **fields}
    sealed = None if result is None else payload.seal(result)
    return Job.objects.create(
        tenant=tenant, kind="echo", input_sealed=payload.seal({"text": "hello"}), result_sealed=sealed, **fields
    )


def text_of(response: Any) -> str:
    return json.dumps(response.json(), ensure_ascii=False)
