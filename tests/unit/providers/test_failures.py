"""How vendors fail, and what of it gets out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest

from django_wp_ai.exceptions import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.failures import retry_after_s
from tests.unit.providers.conftest import MODELS, ask, collect
from tests.vendor.running import RunningVendor

SECRETS = ("secret-vendor-text", "sk-very-secret")


async def failure(provider: Provider, text: str, model: str, *, stream: bool) -> ProviderError:
    """The error of one call."""
    with pytest.raises(ProviderError) as caught:
        await (collect(provider, ask(text), model) if stream else provider.chat(ask(text), model=model))
    assert caught.value.__cause__ is None
    assert not any(secret in f"{caught.value!s}{caught.value!r}{caught.value.detail}" for secret in SECRETS)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (400, ProviderRefused, False),
        (404, ProviderRefused, False),
        (413, ProviderRefused, False),
        (422, ProviderRefused, False),
        (401, ProviderError, False),
        (402, ProviderError, False),
        (403, ProviderError, False),
        (418, ProviderError, False),
        (408, ProviderTimeout, True),
        (409, ProviderUnavailable, True),
        (429, ProviderUnavailable, True),
        (500, ProviderError, True),
        (502, ProviderError, True),
        (503, ProviderUnavailable, True),
        (504, ProviderTimeout, True),
        (529, ProviderUnavailable, True),
    ],
)
async def test_a_vendor_status_becomes_our_error_and_charges_nothing(
    provider: Provider, model: str, status: int, error: type[ProviderError], retryable: bool, stream: bool
) -> None:
    found = await failure(provider, f"[[status={status}]]", model, stream=stream)
    assert type(found) is error
    assert found.retryable is retryable
    assert found.provider_status == status
    assert not found.charged


async def test_the_sdk_itself_never_retries(provider: Provider, model: str, vendor: RunningVendor) -> None:
    await failure(provider, "[[status=500]]", model, stream=False)
    await failure(provider, "[[close]]", model, stream=False)
    assert len(vendor.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_retry_after_is_read_in_seconds_and_as_a_date(provider: Provider, model: str, stream: bool) -> None:
    found = await failure(provider, "[[status=429 retry_after=7]]", model, stream=stream)
    assert found.retry_after_s == 7
    found = await failure(provider, "[[status=503 retry_after=http_date]]", model, stream=stream)
    assert found.retry_after_s is not None
    assert 3500 < found.retry_after_s <= 3600
    found = await failure(provider, "[[status=429]]", model, stream=stream)
    assert found.retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:30 -0000"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2020 00:00:30 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_headers_of_every_form_are_understood(headers: dict[str, str], expected: float | None) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert retry_after_s(httpx2.Headers(headers), now=now) == expected


@pytest.mark.parametrize("stream", [False, True])
async def test_a_slow_vendor_is_a_timeout_that_may_be_charged(
    kind: str, model: str, build: Callable[..., Provider], stream: bool
) -> None:
    found = await failure(build(kind, timeout_s=0.2), "[[delay=30]]", model, stream=stream)
    assert type(found) is ProviderTimeout
    assert found.charged
    assert not found.retryable


async def test_a_stream_that_falls_silent_is_a_timeout_that_is_charged(
    kind: str, model: str, build: Callable[..., Provider], vendor: RunningVendor
) -> None:
    vendor.release(2)
    found = await failure(build(kind, timeout_s=0.2), "[[hold chunks=5]]", model, stream=True)
    assert type(found) is ProviderTimeout
    assert found.charged


@pytest.mark.parametrize("wish", ["cut_after=0", "cut_after=2", "end_after=0", "end_after=2", "error_after=2"])
async def test_a_stream_that_ends_early_is_an_error_that_is_charged(provider: Provider, model: str, wish: str) -> None:
    found = await failure(provider, f"[[chunks=5 {wish}]]", model, stream=True)
    assert type(found) is ProviderError
    assert found.charged
    assert not found.retryable


async def test_what_came_before_the_cut_was_delivered(provider: Provider, model: str) -> None:
    said: list[str] = []

    async def read() -> None:
        async for delta in provider.stream(ask("[[chunks=5 cut_after=3]]"), model=model):
            said.append(delta.text)  # noqa: PERF401 - what was read must survive the error

    with pytest.raises(ProviderError):
        await read()
    assert "".join(said).split() == ["tok1", "tok2", "tok3"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wish", ["garbage", "garbage=shape"])
async def test_an_unreadable_answer_is_an_error_that_is_charged(
    provider: Provider, model: str, wish: str, stream: bool
) -> None:
    found = await failure(provider, f"[[chunks=5 {wish}]]", model, stream=stream)
    assert type(found) is ProviderError
    assert found.charged


@pytest.mark.parametrize("stream", [False, True])
async def test_a_vendor_that_hangs_up_without_an_answer_is_unavailable(
    provider: Provider, model: str, stream: bool
) -> None:
    found = await failure(provider, "[[close]]", model, stream=stream)
    assert type(found) is ProviderUnavailable
    assert found.retryable
    assert found.charged


async def test_a_vendor_that_does_not_listen_is_unavailable_and_charges_nothing(
    kind: str, model: str, build: Callable[..., Provider]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        provider = build(kind, base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        found = await failure(provider, "hi", model, stream=False)
    assert type(found) is ProviderUnavailable
    assert found.retryable
    assert not found.charged


async def test_a_vendor_that_does_not_accept_in_time_is_a_timeout_that_charges_nothing(
    kind: str, model: str, build: Callable[..., Provider]
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        provider = build(kind, base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=0.3)
        found = await failure(provider, "hi", model, stream=False)
        for filler in fillers:
            filler.close()
    assert type(found) is ProviderTimeout
    assert found.retryable
    assert not found.charged


async def test_a_full_connection_pool_is_unavailable_and_charges_nothing(
    kind: str, model: str, build: Callable[..., Provider], vendor: RunningVendor
) -> None:
    provider = build(kind, max_connections=1, connect_timeout_s=1)  # how long it waits for a free one too
    stream = provider.stream(ask("[[hold chunks=3]]"), model=model)
    vendor.release(1)
    await anext(stream)
    found = await failure(provider, "hi", model, stream=True)
    await stream.aclose()
    assert type(found) is ProviderUnavailable
    assert not found.charged


async def test_a_wrong_key_is_our_failure_not_the_callers(
    kind: str, model: str, build: Callable[..., Provider]
) -> None:
    for key, status in (("bad-key", 401), ("forbidden-key", 403)):
        found = await failure(build(kind, api_key=key), "hi", model, stream=False)
        assert (type(found), found.status, found.provider_status) == (ProviderError, 502, status)


async def test_an_unknown_model_is_refused_in_our_own_words(provider: Provider) -> None:
    found = await failure(provider, "hi", "no-such-model", stream=False)
    assert isinstance(found, ProviderRefused)
    assert found.detail == "The provider does not know this model."


async def test_an_error_as_the_first_event_of_a_stream_charges_nothing(provider: Provider, model: str) -> None:
    found = await failure(provider, "[[error_first]]", model, stream=True)
    assert found.retryable
    assert not found.charged


async def test_the_log_has_status_and_codes_but_no_content(
    provider: Provider, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "django_wp_ai"):
        await failure(provider, "my private words [[status=429]]", model, stream=False)
    assert "429" in caplog.text
    assert "rate_limit_error" in caplog.text
    assert "private" not in caplog.text
    assert "secret-vendor-text" not in caplog.text


async def test_an_exhausted_quota_is_not_worth_retrying(build: Callable[..., Provider]) -> None:
    found = await failure(build("openai"), "[[status=429 code=insufficient_quota]]", MODELS["openai"], stream=False)
    assert isinstance(found, ProviderUnavailable)
    assert not found.retryable


async def test_the_parameter_that_a_vendor_names_is_kept_for_the_caller(build: Callable[..., Provider]) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await build("openai").chat(ask("hi", temperature=9), model=MODELS["openai"])
    assert caught.value.param == "temperature"


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_leaving_a_stream_closes_the_vendors_connection(
    provider: Provider, model: str, vendor: RunningVendor, how: str
) -> None:
    vendor.release(3)
    stream = provider.stream(ask("[[hold chunks=50]]"), model=model)
    for _ in range(3):
        await anext(stream)
    if how == "aclose":
        await stream.aclose()
    else:
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    received = vendor.last
    await asyncio.to_thread(received.ended.wait)
    assert received.disconnected
    assert received.deltas == 3


async def test_deltas_arrive_one_by_one_as_the_vendor_sends_them(
    provider: Provider, model: str, vendor: RunningVendor
) -> None:
    stream = provider.stream(ask("[[hold chunks=4]]"), model=model)
    for number in range(1, 5):
        vendor.release(1)
        delta = await anext(stream)
        assert delta.text.strip() == f"tok{number}"
        assert vendor.last.deltas <= number
    assert [delta.finish_reason async for delta in stream] == ["stop", None]


async def test_a_finished_stream_leaves_its_connection_for_the_next_call(
    kind: str, model: str, build: Callable[..., Provider], vendor: RunningVendor
) -> None:
    provider = build(kind, max_connections=1)
    for _ in range(3):
        await collect(provider, ask("hello"), model)
    assert len({request.client for request in vendor.requests}) == 1
