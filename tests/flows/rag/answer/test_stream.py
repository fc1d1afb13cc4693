"""Streams: nothing that is shown is taken back."""

from __future__ import annotations

import pytest

from django_wp_ai.exceptions import ProviderError, RateLimited
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.rag.answer import Question, open_answer
from django_wp_ai.rag.answer.sentences import NOT_FOUND
from tests.flows.rag.answer.conftest import Site
from tests.vendor.running import RunningVendor

ASKED = "When does the shop open?"
QUOTE = "Our shop opens at nine in the morning"


def test_a_stream_shows_what_the_whole_answer_shows(site: Site) -> None:
    said = f'At nine [1 "{QUOTE}"], not at ten [1 "at ten"] [7]. More at https://evil.example/x now.'
    deltas, answer = site.stream(f"{ASKED} [[say={said}]]")
    assert "".join(deltas) == answer.text == "At nine [1], not at ten. More at \u2026 now."
    assert len(deltas) > 3
    assert [citation.quote for citation in answer.citations] == [QUOTE]
    assert site.rows()[0].streamed


def test_nothing_is_shown_before_the_first_citation_that_holds(site: Site) -> None:
    said = f'I think ten [1 "at ten"]. Or noon [9]. It is nine [1 "{QUOTE}"]. Good bye.'
    deltas, answer = site.stream(f"{ASKED} [[say={said}]]")
    assert deltas[0].startswith("I think ten. Or noon. It is nine [1]")
    assert len(deltas) > 1
    assert "".join(deltas) == answer.text == "I think ten. Or noon. It is nine [1]. Good bye."


def test_an_answer_that_nothing_supports_is_never_shown(site: Site) -> None:
    deltas, answer = site.stream(f'{ASKED} [[say=At ten, says my grandmother [1 "at ten"].]]')
    assert deltas == [NOT_FOUND["en"]]
    assert not answer.supported
    assert answer.call is not None


def test_without_anything_found_the_sentence_is_the_stream(site: Site, vendor: RunningVendor) -> None:
    deltas, answer = site.stream("Who painted the Mona Lisa?")
    assert (deltas, answer.call) == ([NOT_FOUND["en"]], None)
    assert vendor.requests == []


def test_a_refusal_before_the_first_delta_is_raised(site: Site) -> None:
    with pytest.raises(ProviderError):
        site.stream(f"{ASKED} [[status=500]]")
    site.set(routes={"ask": {"rpm": 1}})
    site.stream(f"{ASKED} [[say=x]]")
    with pytest.raises(RateLimited):
        site.stream(f"{ASKED} [[say=x]]")


def test_an_answer_that_breaks_off_ends_with_its_error(site: Site) -> None:
    with pytest.raises(ProviderError):
        site.stream(f"{ASKED} [[chunks=9 error_after=3]]")


def test_a_reader_who_leaves_leaves_a_settled_row(site: Site) -> None:
    async def leave() -> None:
        stream = await open_answer(site.principal, Question(text=f"{ASKED} [[chunks=50]]"), Origin("ask", "r"))
        stream.leave()
        stream.leave()

    site.run(leave())
    site.finish()
    assert [row.state for row in site.rows()] == ["settled"]


def test_silence_is_told_also_while_text_is_held_back(site: Site, vendor: RunningVendor) -> None:
    async def wait() -> None:
        stream = await open_answer(site.principal, Question(text=f"{ASKED} [[hold chunks=3]]"), Origin("ask", "r"))
        with pytest.raises(TimeoutError):
            await stream.next(timeout_s=0.05)
        vendor.release(None)
        assert await stream.next() is not None
        assert await stream.next() is None

    vendor.release(1)
    site.run(wait())
