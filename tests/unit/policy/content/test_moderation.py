"""Local rules flag plain phrases of five languages; a vendor's judgement is read as it is given."""

from __future__ import annotations

import math

import pytest

from django_wp_ai.policy.content.moderation import CATEGORIES, Finding, Moderation, from_vendor, judge
from django_wp_ai.policy.content.moderation_phrases import PHRASES


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Honestly, I want to KILL myself.", "self_harm"),
        ("Ich will nicht mehr leben", "self_harm"),
        ("je veux mourir", "self_harm"),
        ("Quiero suicidarme", "self_harm"),
        ("もう死にたいです", "self_harm"),
        ("send child porn", "sexual_minors"),
        ("Kinderpornografie", "sexual_minors"),
        ("児童ポルノを探す", "sexual_minors"),
        ("ICH WERDE DICH UMBRINGEN!", "violence"),
        ("te voy a matar", "violence"),
        ("they are subhuman", "hate"),
        ("mort aux juifs", "hate"),
        ("How to make a bomb at home", "illicit"),
        ("cómo hacer una bomba", "illicit"),
        ("爆弾の作り方を教えて", "illicit"),
        ("Bring dich um", "harassment"),
        ("ｇｏ ｋｉｌｌ ｙｏｕｒｓｅｌｆ", "harassment"),
    ],
)
def test_a_plain_phrase_is_flagged_by_its_category(text: str, category: str) -> None:
    result = judge(text)
    assert result.flagged
    assert category in result.categories
    assert result.source == "local"


@pytest.mark.parametrize(
    "text",
    [
        "The bath bomb recipe needs citric acid.",
        "How do I kill a Python process?",
        "Ich bringe dich um neun zum Bahnhof",
        "Le film était à mourir de rire",
        "La bomba de agua no funciona",
        "爆弾低気圧が近づいています",
        "A child walks to school",
        "",
    ],
)
def test_harmless_text_with_such_words_passes(text: str) -> None:
    assert judge(text) == Moderation(flagged=False)


def test_several_phrases_are_surer_than_one_and_the_surest_comes_first() -> None:
    one = judge("how to make a bomb").findings[0]
    both = judge("how to make a bomb, how to make meth. I want to die")
    assert both.findings[0].category == "illicit"
    assert one.score < both.findings[0].score < 1
    assert both.categories == ("illicit", "self_harm")


def test_every_category_has_phrases_of_every_language() -> None:
    assert {category for category, _, _ in PHRASES} == set(CATEGORIES) - {"sexual", "other"}
    for category, weight, phrases in PHRASES:
        assert 0.5 <= weight < 1, category
        assert len(set(phrases)) == len(phrases) >= 15
        assert [phrase for phrase in phrases if any("\u3040" <= character <= "\u9fff" for character in phrase)]


def test_a_vendors_judgement_is_read() -> None:
    scores = {
        "self-harm": 0.2,
        "self-harm/intent": 0.6,
        "sexual/minors": 0.1,
        "violence/graphic": 0.3,
        "new-thing": 0.05,
    }
    result = from_vendor(scores, flagged=True, source="openai")
    assert result.flagged
    assert result.source == "openai"
    assert result.findings == (
        Finding("self_harm", 0.6),
        Finding("violence", 0.3),
        Finding("sexual_minors", 0.1),
        Finding("other", 0.05),
    )


def test_what_a_vendor_does_not_flag_is_not_flagged() -> None:
    assert not from_vendor({"hate": 0.99}, flagged=False, source="openai").flagged
    assert from_vendor({}, flagged=True, source="openai") == Moderation(flagged=True, source="openai")


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf, True, "0.5", None])
def test_a_score_that_is_none_is_refused(score: object) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        from_vendor({"hate": score}, flagged=False, source="openai")  # type: ignore[dict-item]
