"""The page on callbacks agrees with the code, and its receiver takes what we send."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from django_wp_ai.callbacks import endpoints, noting
from django_wp_ai.callbacks.profiles import PROFILES, SHAPES
from django_wp_ai.callbacks.replay import replay
from django_wp_ai.callbacks.schedule import WAITS_S
from django_wp_ai.models import Tenant
from django_wp_ai.security import legacy
from django_wp_ai.security.issue import Issued
from django_wp_ai.security.outbound.errors import MESSAGES
from tests.flows.callbacks.conftest import deliver_due, fresh, make_due, put
from tests.flows.callbacks.receiver import Receiver, status
from tests.samples import samples
from tests.unit.test_docs import page, section, table_rows

UNITS = {"s": 1, "min": 60, "h": 3600}


def test_every_profile_and_shape_is_documented() -> None:
    rows = table_rows(section(page("callbacks.md"), "Older contracts"), "[a-z_-]+")
    assert rows.keys() == PROFILES.keys() | set(SHAPES)
    for name, row in rows.items():
        if name not in PROFILES:
            continue
        assert f"`{PROFILES[name]}`" in row[2]
        if name in legacy.PROFILES:
            for header in filter(None, (legacy.PROFILES[name].header, legacy.PROFILES[name].timestamp_header)):
                assert f"`{header}" in row[0].lower()


def test_the_schedule_is_documented() -> None:
    rows = re.findall(r"^\| (\d+) \| (at once|(\d+) (s|min|h)) \|", page("callbacks.md"), re.MULTILINE)
    found = [int(number) * UNITS[unit] if number else 0 for _, _, number, unit in rows]
    assert found == list(WAITS_S)


def test_every_code_of_a_failure_is_documented() -> None:
    text = section(page("callbacks.md"), "Attempts")
    known = {*MESSAGES, *noting.OURS, "redirect", "gone", "bad_status", endpoints.ENDPOINT_DISABLED}
    assert {code for code in known if f"`{code}`" not in text} == set()


@pytest.mark.django_db(transaction=True)
def test_the_documented_receiver_takes_each_message_once_and_nothing_else(
    site: Tenant, secret: Issued, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    [sample] = [sample for sample in samples("receiver") if sample.language == "python"]
    code: dict[str, Any] = {}
    exec(sample.source, code)
    answered: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers, body = receiver.received[-1]
        answered.append(code["receive"](body, headers, secret.secret))
        await status(answered[-1])(reader, writer)

    receiver.answers = [answer]
    callback = put(site, receiver, type="job.succeeded", data={"id": "job-1"})
    deliver_due()
    replay(site, callback_id=callback.pk)
    make_due()
    deliver_due()
    assert answered == [204, 204]
    assert fresh(callback).state == "delivered"
    assert capsys.readouterr().out.splitlines() == ["job.succeeded job-1"]
    headers, body = receiver.received[0]
    for altered in ({**headers, "webhook-signature": "v1,%%%"}, {**headers, "webhook-timestamp": "1"}):
        assert code["receive"](body, altered, secret.secret) == 401
    assert code["receive"](body + b" ", headers, secret.secret) == 401
