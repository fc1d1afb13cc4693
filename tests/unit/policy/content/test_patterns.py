"""A site's own patterns hide what they match, and none can make a call slow."""

from __future__ import annotations

import pytest

from django_wp_ai.policy.content.detectors.patterns import MAX_MATCH, MAX_PATTERNS, InvalidPattern
from django_wp_ai.policy.content.redaction import Redactor, Vault


def redacted(text: str, **patterns: str) -> str:
    vault = Vault()
    hidden = Redactor((), patterns).redact(text, vault)
    assert vault.restore(hidden) == text
    return hidden


def test_what_a_pattern_matches_is_hidden_under_its_name() -> None:
    text = "Orders ORD-000123 and ORD-000124, again ORD-000123; case K/12."
    assert redacted(text, order="ORD-[0-9]{6}", case_file=r"K/\d{1,3}") == (
        "Orders [ORDER_1] and [ORDER_2], again [ORDER_1]; case [CASE_FILE_1]."
    )


def test_a_pattern_reads_full_width_text_as_plain() -> None:
    assert redacted("Ｏ\u200bＲＤ－０００１２３", order="ORD-[0-9]{6}") == "[ORDER_1]"


def test_a_literal_placeholder_of_a_pattern_is_not_confused() -> None:
    assert redacted("[ORDER_1] is ORD-000123", order="ORD-[0-9]{6}") == "[LITERAL_1] is [ORDER_1]"


def test_a_pattern_that_covers_a_literal_placeholder_leaves_it_apart() -> None:
    assert redacted("<[EMAIL_1]> <x>", tag="<[^>]{1,20}>") == "<[LITERAL_1]> [TAG_1]"


@pytest.mark.parametrize("offset", [0, 1, 100, 127, 128, 129, 200, 255, 256, 257, 1000])
def test_a_match_is_found_wherever_it_lies_in_a_long_text(offset: int) -> None:
    value = "#" + "x" * (MAX_MATCH - 2) + "#"
    assert redacted("." * offset + value + "." * 300, mark="#x+#") == "." * offset + "[MARK_1]" + "." * 300


def test_matches_that_follow_each_other_are_all_found() -> None:
    assert redacted("ORD-000123" * 60, order="ORD-[0-9]{6}") == "[ORDER_1]" * 60


def test_a_longer_match_is_cut_and_still_hidden() -> None:
    assert "x" not in redacted("x" * 1000, mark="x+").replace("MARK", "")


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(ab|b)*c",
        "(a|a)*",
        r"(\d{1,3}){2,9}",
        "a+b+",
        r"\w+@\w+",
        "(x{1,9}){9}",
        "a{1,9}b{1,9}c{1,9}",
        r"(a)\1",
        "(?=a)b",
        "(?<!a)b",
        "a*",
        "",
        "(",
        "a{99999999999}",
        "[[a]",
        "x" * 257,
        "(" * 120 + "a" + ")" * 120 + "\\1",
    ],
)
def test_a_pattern_that_could_be_slow_or_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match=r"^The pattern 'own' "):
        Redactor((), {"own": pattern})


@pytest.mark.parametrize(
    "pattern",
    ["ORD-[0-9]{6}", r"\b[A-Z]{2,3}-\d{4,8}\b", "(?i)cust:[^ ]+", "(?:AB|CD)\\d{5}", "K(?:/\\d\\d)?x", "(ab){3}"],
)
def test_a_usual_pattern_is_accepted(pattern: str) -> None:
    Redactor((), {"own": pattern})


@pytest.mark.parametrize("name", ["", "1a", "a-b", "x" * 33, "email", "Literal", "a b"])
def test_a_name_that_makes_no_placeholder_is_refused(name: str) -> None:
    with pytest.raises(InvalidPattern, match="can't name a pattern"):
        Redactor((), {name: "x"})


def test_two_names_of_one_placeholder_are_refused() -> None:
    with pytest.raises(InvalidPattern, match="not twice"):
        Redactor((), {"a": "x", "A": "y"})


def test_there_is_a_limit_of_patterns() -> None:
    with pytest.raises(InvalidPattern, match=f"more than {MAX_PATTERNS}"):
        Redactor((), {f"n{i}": "x" for i in range(MAX_PATTERNS + 1)})


@pytest.mark.parametrize("pattern", [12, None, ["x"]])
def test_a_pattern_that_is_no_text_is_refused(pattern: object) -> None:
    with pytest.raises(InvalidPattern, match="must be text"):
        Redactor((), {"own": pattern})  # type: ignore[dict-item]
