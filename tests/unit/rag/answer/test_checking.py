"""What of a model's answer a reader sees, however it is cut into pieces."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_wp_ai.rag.answer.checking import Checker
from django_wp_ai.rag.answer.question import Source
from django_wp_ai.rag.answer.quoting import Passage
from django_wp_ai.rag.search import Hit

TEXTS = {
    1: "Our shop opens at nine in the morning and closes at six.",
    2: "Parking is free for guests of the hotel. Ask for $matches[1] at the desk.",
}
OPEN, PARKING = "Our shop opens at nine in the morning", "Parking is free for guests"


def source(number: int, text: str) -> Source:
    hit = Hit(
        number, number, f"post-{number}", f"Post {number}", f"https://site.example/{number}", text, 0, (), "en", "post",
        0.5, 0.4, 3.0, "hash",
    )  # fmt: skip
    return Source(number, (hit,), (Passage(text),))


def checker() -> Checker:
    return Checker([source(*item) for item in TEXTS.items()], site_host="site.example")


def read(text: str, size: int = 0) -> tuple[str, dict[int, str]]:
    """What is shown, and the quotes by source."""
    checking = checker()
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    shown = "".join(map(checking.feed, pieces)) + checking.finish()
    return shown, {citation.n: citation.quote for citation in checking.citations}


SHOWN = [
    (f'Nine [1 "{OPEN}"].', "Nine [1].", {1: OPEN}),
    (f"At nine [1: \u201c{OPEN}\u201d]. Free [2, '{PARKING}'].", "At nine [1]. Free [2].", {1: OPEN, 2: PARKING}),
    (f"九時です【1「{OPEN}」】。", "九時です[1]。", {1: OPEN}),
    (f"Nine [1: {OPEN}].", "Nine [1].", {1: OPEN}),
    (f'Nine [1] "{OPEN}".', "Nine [1].", {1: OPEN}),
    (f'Nine [1] ("{OPEN}").', "Nine [1].", {1: OPEN}),
    (f"{OPEN}. [1]", f"{OPEN}. [1]", {1: OPEN}),
    (f"{OPEN} [1, 2].", f"{OPEN} [1].", {1: OPEN}),
    (f"{OPEN} [1][2][9].", f"{OPEN} [1].", {1: OPEN}),
    (f"{OPEN} [^1].", f"{OPEN} [1].", {1: OPEN}),
    (f"{OPEN} [1](https://evil.example/x).", f"{OPEN} [1].", {1: OPEN}),
    ('Nine [1 "Our shop opens at ten"].', "Nine.", {}),
    (f'Nine [2 "{OPEN}"].', "Nine.", {}),
    (f'Nine [7 "{OPEN}"].', "Nine.", {}),
    ("We sell cars [1].", "We sell cars.", {}),
    ('Nine [1 "the"].', "Nine.", {}),
    ("Nothing here.", "Nothing here.", {}),
    ("[1] [2] [3]", "", {}),
    ("Oh![2] ![9]", "Oh! !", {}),
    ("A [bracket] and [ ] and ] [", "A [bracket] and [ ] and ] [", {}),
    ("In 2024 [2024] ok", "In 2024 [2024] ok", {}),
    ("Use `$matches[1]` or ```x[2]```.", "Use `$matches[1]` or ```x[2]```.", {}),
    ("`[1]` [2]", "``", {}),
    ('Use the ` key. At noon[7]. And more[8 "evil words here"].', "Use the ` key. At noon. And more.", {}),
    ("Use the ` key.\n\nAt noon[7]` and more.", "Use the ` key.\n\nAt noon` and more.", {}),
    ("Use the \\` key. At noon[7] and ` here.", "Use the \\` key. At noon and ` here.", {}),
    ("Call `` x[2] ` y[3] `` at noon[7].", "Call `` x[2] ` y[3] `` at noon.", {}),
    ("```php\nx[2]\n\ny[3]\n``` z\n```\nAt noon[7].", "```php\nx[2]\n\ny[3]\n``` z\n```\nAt noon.", {}),
    ("- ```\n  x[2]\nAt noon[7].", "- ```\n  x[2]\nAt noon.", {}),
    ("``` x[2] ` y\n\nAt noon[7].", "``` x ` y\n\nAt noon.", {}),
]


@pytest.mark.parametrize("size", [0, 1, 3, 7])
@pytest.mark.parametrize(("said", "shown", "quotes"), SHOWN, ids=[said[:30] for said, _, _ in SHOWN])
def test_markers_that_hold_are_shown_bare_and_all_others_are_left_out(
    said: str, shown: str, quotes: dict[int, str], size: int
) -> None:
    assert read(said, size) == (shown, quotes)


LINKS = [
    ("See [our page](https://site.example/a?b=1).", "See [our page](https://site.example/a?b=1)."),
    ("See [our page](/contact#map).", "See [our page](/contact#map)."),
    ("See [this](https://evil.example/a).", "See this."),
    ("See [this](//evil.example/a).", "See this."),
    ("See [this](javascript:alert).", "See this."),
    ("See [this](https://site.example@evil.example/).", "See this."),
    ("See [this](https://evil.example/ 'site.example').", "See this."),
    ("See ![a cat](https://evil.example/c.png?q=secret) here", "See a cat here"),
    ("At https://evil.example/x?y=z, now.", "At \u2026, now."),
    ("At HTTPS://EVIL.example or www.evil.example.", "At \u2026 or \u2026."),
    ("At https://site.example/shop.", "At https://site.example/shop."),
    ("At https://site.example/out?to=https://evil.example/", "At \u2026"),
    ("At https://site.example/out?to=https%3A%2F%2Fevil.example%2F", "At \u2026"),
    ("At https://site.example/out?to=//evil.example", "At \u2026"),
    ("At https://site.example/https://evil.example/", "At \u2026"),
    (
        "At https://site.example/in?to=https://site.example/a//b",
        "At https://site.example/in?to=https://site.example/a//b",
    ),
    ("[this](/out?to=https://evil.example/)", "this"),
    ("[this](/in?to=https://site.example/)", "[this](/in?to=https://site.example/)"),
    ('<a href="ftp://evil.example">x</a>', '<a href="\u2026">x</a>'),
    ("[x]: https://evil.example", "[x] : \u2026"),
    ("[x]: //evil.example/x and [x][x]", "[x] : //evil.example/x and [x][x]"),
    ("See [this](javascript:alert(1)).", "See this."),
    ("![cat](//evil.example/p.png?q=(s))", "cat"),
    ("![cat](//evil.example/p.png?q=((s)))", "![cat] (//evil.example/p.png?q=((s)))"),
    ('[this](//evil.example "a (b)")', "this"),
    ("[a [b] c](//evil.example/x)", "[a [b] c] (//evil.example/x)"),
    ("[![a](//evil.example/x)](//evil.example/y)", "[a] (//evil.example/y)"),
    ("[a\nb](//evil.example/x)", "[a\nb] (//evil.example/x)"),
    ("[this](/&#47;evil.example/x)", "this"),
    ("[this](/&#9;/evil.example/x)", "this"),
    ("[this](https://site.example&#64;evil.example/)", "this"),
    ("[x [9]](//evil.example)", "[x] (//evil.example)"),
    ("[x] [9]: //evil.example", "[x] : //evil.example"),
    ("[this](//evil.example", "[this] (//evil.example"),
    ("See [it](/wiki/Bread_(food)) here.", "See [it](/wiki/Bread_(food)) here."),
    ("See [it](/a?b=1&amp;c=2 'Our (new) page').", "See [it](/a?b=1&amp;c=2 'Our (new) page')."),
    ("https://[broken", "\u2026[broken"),
    ("ratio 3:4 and http colon", "ratio 3:4 and http colon"),
]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize(("said", "shown"), LINKS, ids=[said for said, _ in LINKS])
def test_links_lead_to_the_site_or_nowhere(said: str, shown: str, size: int) -> None:
    assert read(said, size)[0] == shown


def test_of_another_site_only_the_pages_that_were_given_are_linked() -> None:
    [given] = [source(1, OPEN)]
    page, redirect = "https://other.example/a/", "https://site.example/out?to=https://evil.example/"
    hits = [replace(given.hits[0], url=url) for url in (page, redirect)]
    checking = Checker([Source(n, (hit,), given.passages) for n, hit in enumerate(hits)], site_host="site.example")
    said = f"https://other.example/a and https://other.example/b and http://other.example/a/#top and {redirect}"
    assert checking.feed(said) + checking.finish() == said.replace("https://other.example/b", "\u2026")


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("behind", [": javascript:alert(1)", "(javascript:alert(1)", ":x", "(//evil.example"])
def test_a_citation_never_becomes_a_link_or_the_definition_of_one(behind: str, size: int) -> None:
    assert read(f'[1 "{OPEN}"]{behind}', size) == (f"[1] {behind}", {1: OPEN})


HOME_LINK = re.compile(r"!?\[[^\[\]\n]*\]\( ?(?:/(?!/)|https://site\.example/)(?:[^()\n]|\([^()\n]*\))*\)")
PIECES = st.lists(
    st.sampled_from(
        [
            "[", "]", "1", "2", "9", ' "', '"', "'", OPEN, PARKING, ". ", ", ", "\n\n", "`", "![", "](", ")", "(", " ",
            "https://evil.example/", "https://site.example/", "www.", "h", "htt", "【", "】", "「", "^", ":", "x", "…",
            "//evil.org", "/page", "]:", "[9]", "\n", "``", "```", "a`", "x[2]", "\\", "- ", "> ",
        ]
    ),
    max_size=24,
)  # fmt: skip


@example(pieces=["![", "1", "]"], size=1)
@example(pieces=["https://site.example/", "https://evil.example/"], size=1)
@example(pieces=["![", "1", "](", "https://evil.example/", ")"], size=1)
@given(PIECES, st.integers(1, 9))
def test_how_an_answer_is_cut_changes_nothing_and_what_is_cited_stands_in_its_source(
    pieces: list[str], size: int
) -> None:
    said = "".join(pieces)
    whole = read(said)
    assert read(said, size) == whole
    shown, quotes = whole
    assert all(quote in TEXTS[number] for number, quote in quotes.items())
    assert "evil.example" not in shown
    assert not re.search(r"\][(:]", HOME_LINK.sub("", shown))
    without_code = re.sub(r"`[^`]*`?", "", shown)
    assert {int(number) for number in re.findall(r"\[(\d{1,3})\]", without_code)} <= quotes.keys()


@pytest.mark.parametrize(
    "hostile", ["[" * 9000, '[1 "' * 3000, "[1" * 4000, "https://" * 2000, "`" * 5000, "[1 " * 4000]
)
def test_hostile_answers_end(hostile: str) -> None:
    checking = checker()
    for at in range(0, len(hostile), 50):
        checking.feed(hostile[at : at + 50])
    checking.finish()
    assert checking.citations == []


def test_what_may_be_code_is_held_back_until_it_closes_and_not_for_ever() -> None:
    checking = checker()
    assert checking.feed("Use `x[2] and") == "Use `x"
    assert checking.feed(" y[3]` or") == "[2] and y[3]` or"
    said = "Use `x[2] " + "word " * 300
    assert [read(said, size)[0] for size in (0, 1, 7)] == [said.replace("[2]", "").strip()] * 3
    assert "word" in checker().feed(said)


def test_an_unfinished_marker_is_held_back_and_a_long_one_not_for_ever() -> None:
    checking = checker()
    assert checking.feed(f'{OPEN} [1 "Our') == OPEN
    assert checking.feed(" shop opens at nine in") == ""
    assert checking.feed(' the morning"] and') == " [1] and"
    assert "word" in checker().feed("[1 " + "word " * 400)
