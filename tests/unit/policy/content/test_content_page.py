"""The page for operators names what the code finds."""

from __future__ import annotations

import re

from django_wp_ai.policy.content import placeholders
from django_wp_ai.policy.content.detectors import national_ids, patterns
from django_wp_ai.policy.content.moderation_phrases import PHRASES
from django_wp_ai.policy.content.redaction import LOCALES, Vault, redactor, regions
from tests.samples import ROOT

PAGE = (ROOT / "docs" / "content.md").read_text(encoding="utf-8")


def test_every_kind_of_placeholder_is_on_the_page() -> None:
    assert {kind for kind in placeholders.KINDS if f"| `{kind}` |" not in PAGE} == set()


def test_every_locale_with_national_ids_has_a_row() -> None:
    rows = re.findall(r"^\| `([a-z]{2}(?:-[A-Z]{2})?)` \|", PAGE, re.MULTILINE)
    assert tuple(dict.fromkeys(rows)) == LOCALES
    assert set(regions(rows)) == set(national_ids.BY_REGION)


def test_every_category_of_the_local_rules_is_on_the_page() -> None:
    assert {category for category, _, _ in PHRASES if f"`{category}`" not in PAGE} == set()


def test_the_limits_of_patterns_are_those_of_the_code() -> None:
    assert f"at most {patterns.MAX_PATTERNS} patterns of {patterns.MAX_LENGTH} characters" in PAGE
    assert f"matches up to {patterns.MAX_MATCH} characters" in PAGE


def test_the_example_is_what_happens() -> None:
    cells = dict(re.findall(r"^\| (The (?:user|provider) \w+) \| (.+) \|$", PAGE.replace("`", ""), re.MULTILINE))
    vault = Vault()
    assert redactor().redact(cells["The user writes"], vault) == cells["The provider gets"]
    assert vault.restore(cells["The provider answers"]) == cells["The user reads"]
