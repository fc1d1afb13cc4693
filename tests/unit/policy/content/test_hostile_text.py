"""Work grows with the text and no faster, whatever the text."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from django_wp_ai.policy.content.redaction import Redactor, Restorer, Vault

REDACTOR = Redactor((), {"own": r"[a-z0-9]+X"})
SIZE = 1 << 13
HOSTILE = {
    "one long local part": "a",
    "at signs": "@",
    "addresses in addresses": "a@b.",
    "labels": "a.",
    "quotes": '"a"@',
    "percent signs": "%40",
    "digits": "1234567890",
    "spaced digits": "4 1 ",
    "many short groups": "05 ",
    "lines of groups": "05 05 05 05 05 05 05 05 05\n",
    "beginnings of cards": "4111 ",
    "beginnings of IBANs": "DE89 ",
    "letters and digits": "ABCDEF12",
    "brackets": "(",
    "pluses": "+",
    "international": "+49 30 12 34 56 78 90 12\n",
    "dots": "1.",
    "dashes": "1-",
    "placeholders": "[EMAIL_",
    "openers": "[",
    "backslashes": "\\",
    "zero-width": "\u200b",
    "marks": "\u0301",
    "kanji": "電話番号",
    "telephones": "0301234567,",
    "amounts": "$1,111",
}


def cpu_s(work: Callable[[], object]) -> float:
    """The least processor time of some runs: what else the machine does is left out."""
    times = []
    for _ in range(3):
        before = time.thread_time()
        work()
        times.append(time.thread_time() - before)
    return min(times)


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_twice_the_text_is_about_twice_the_work(piece: str) -> None:
    once = piece * (SIZE // len(piece))
    small = cpu_s(lambda: REDACTOR.redact(once, Vault()))
    large = cpu_s(lambda: REDACTOR.redact(once * 4, Vault()))
    # Four times the text: linear is 4, quadratic 16.
    assert large < small * 8 + 0.001


@pytest.mark.parametrize("piece", ["[", "[EMAIL_", "[EMAIL_1", "\\", "\\[", "[ ", "x"])
def test_a_stream_in_single_characters_is_restored_in_time_that_grows_with_it(piece: str) -> None:
    vault = Vault()
    vault.hide("EMAIL", "a@b.example")

    def restore(text: str) -> str:
        restorer = Restorer(vault)
        return "".join([*map(restorer.feed, text), restorer.flush()])

    text = piece * (4096 // len(piece))
    assert restore(text) == text
    assert cpu_s(lambda: restore(text * 4)) < cpu_s(lambda: restore(text)) * 8 + 0.001
