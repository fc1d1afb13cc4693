"""A chat streamed: read to its end, left at any delta, stalled, broken."""

from __future__ import annotations

import asyncio

import pytest

from django_wp_ai.datatypes import Tool
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway import stream
from django_wp_ai.gateway.chat import open_stream
from tests.flows.conftest import ORIGIN, Street, asking, read, until_asked
from tests.vendor.running import RunningVendor

CHUNKS = 24


def test_a_stream_is_read_to_its_end_and_settled_before_it_ends(street: Street) -> None:
    found = street.open(asking("Hi [[chunks=3 usage=10,5]]"))
    text = "".join(delta.text for delta in street.run(read(found)))

    assert text == "tok1 tok2 tok3"
    assert street.row().state == "settled"
    assert (found.call.usage.output_tokens, found.call.finish_reason) == (5, "stop")
    assert street.run(found.next()) is None  # and stays at its end
    found.leave()


@pytest.mark.usefixtures("no_drain")
@pytest.mark.parametrize("position", range(20))
def test_a_reader_that_leaves_at_any_delta_leaves_one_priced_row(
    street: Street, vendor: RunningVendor, position: int
) -> None:
    vendor.release(position + 1)
    found = street.open(asking(f"Hi [[chunks={CHUNKS} hold]]"))
    street.run(read(found, position))
    found.leave()
    found.leave()
    street.finish()

    row = street.row()
    assert (row.state, row.error_code, row.estimated) == ("settled", "disconnected", True)
    assert row.cost_usd
    assert row.output_tokens >= position


def test_a_reader_that_leaves_after_the_end_changes_nothing(street: Street) -> None:
    found = street.open(asking("Hi [[chunks=3 usage=10,5]]"))
    street.run(read(found))
    found.leave()
    street.finish()
    row = street.row()
    assert (row.error_code, row.estimated, row.output_tokens) == ("", False, 5)


def test_while_the_drain_lasts_the_vendors_own_count_is_awaited(street: Street, vendor: RunningVendor) -> None:
    vendor.release(3)
    found = street.open(asking("Hi [[chunks=9 hold usage=100,9]]"))
    street.run(read(found, 2))
    found.leave()
    vendor.release(None)
    street.finish()
    row = street.row()
    assert (row.input_tokens, row.output_tokens, row.estimated, row.error_code) == (100, 9, False, "")


@pytest.mark.usefixtures("no_drain")
def test_a_caller_that_leaves_before_the_first_delta_leaves_an_estimate(street: Street, vendor: RunningVendor) -> None:
    async def leave() -> None:
        opening = asyncio.ensure_future(open_stream(street.principal, asking("Hi [[chunks=3 hold]]"), ORIGIN))
        await until_asked(vendor)
        opening.cancel()
        await asyncio.wait([opening])

    street.run(leave())
    street.finish()
    row = street.row()
    assert (row.state, row.error_code, row.estimated, row.output_tokens) == ("settled", "disconnected", True, 0)


def test_a_caller_that_leaves_while_the_row_is_opened_sends_nothing(street: Street, vendor: RunningVendor) -> None:
    async def leave() -> None:
        opening = asyncio.ensure_future(open_stream(street.principal, asking("Hi"), ORIGIN))
        await asyncio.sleep(0)  # the pump has begun
        opening.cancel()
        await asyncio.wait([opening])

    street.run(leave())
    street.finish()
    row = street.row()
    assert (row.state, row.error_code, row.cost_usd) == ("settled", "disconnected", 0)
    assert row.provider_status is None
    assert not vendor.requests


def test_tool_calls_alone_are_collected_and_counted(street: Street) -> None:
    tool = Tool("get_weather", parameters={"type": "object"})
    asked = asking('Go [[tool=get_weather {"city":"Paris"}]] [[no_usage]]', tools=(tool,))
    found = street.open(asked)
    street.run(read(found))

    [call] = found.tool_calls.values()
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Paris"}')
    row = street.row()
    assert (row.finish_reason, row.estimated) == ("tool_calls", True)
    assert row.output_tokens > 0


def test_silence_is_told_and_costs_no_delta(street: Street, vendor: RunningVendor) -> None:
    vendor.release(1)
    found = street.open(asking("Hi [[chunks=3 hold]]"))
    street.run(read(found, 1))
    with pytest.raises(TimeoutError):
        street.run(found.next(timeout_s=0.05))
    vendor.release(None)
    assert "".join(delta.text for delta in street.run(read(found))) == "tok2 tok3"


def test_a_reader_that_stalls_is_given_up_and_told_so_when_it_reads_again(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "STALLED_READER_S", 0.05)
    found = street.open(asking("Hi [[chunks=200 usage=10,200]]"))
    street.finish()
    with pytest.raises(ProviderError, match="not read in time"):
        street.run(read(found))
    assert street.row().output_tokens == 200


@pytest.mark.usefixtures("odd")
def test_a_settlement_that_fails_does_not_hang_the_reader(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    found = street.open(asking("negative", model="odd:odd"))  # the database refuses such a count of tokens
    deltas = street.run(read(found))

    assert [delta.text for delta in deltas] == ["one ", ""]
    assert "could not be settled" in caplog.text
