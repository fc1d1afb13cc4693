"""What is kept of a post's HTML, and how it is written."""

from __future__ import annotations

import pytest

from django_wp_ai.rag.extract import ExtractionFailed, html
from django_wp_ai.rag.extract.html import markdown_of

KEPT = {
    "blocks of WordPress are written between comments that go": (
        '<!-- wp:paragraph {"dropCap":true} --><p>Open at nine.</p><!-- /wp:paragraph --><!-- wp:acf/x {"a":"b"} /-->',
        "Open at nine.",
    ),
    "headings": ("<h1>One</h1><h3>Two <em>words</em></h3>text", "# One\n\n### Two words\n\ntext"),
    "text in no element, as in classic posts": ("First line\nsame\n\nSecond", "First line same\n\nSecond"),
    "line breaks": ("<p>Street 1<br>12345 Town</p>", "Street 1\n12345 Town"),
    "an empty line within a paragraph is a blank": ("<p>one\n\ntwo</p>", "one two"),
    "links by their text": ('<p>See <a href="https://x.example">the page</a>.</p>', "See the page."),
    "what images show": ('<p><img src="a.jpg" alt="A [red] bike"> here</p>', "![A (red) bike]() here"),
    "images that show nothing are left out": ('<p><img src="a.jpg" alt=""><img>x</p>', "x"),
    "lists in lists": (
        "<ul><li>a<ol start='3'><li>b</li><li>c</li></ol></li><li>d</li></ul>",
        "- a\n  3. b\n  4. c\n- d",
    ),
    "paragraphs of an item": ("<ol><li><p>a</p><p>b</p></li></ol>", "1. a\n\n   b"),
    "tables": (
        "<table><caption>Prices</caption><thead><tr><th>Part<th>Price</thead><tr><td>A|B<td>9<br>euros</table>",
        "Prices\n\n| Part | Price |\n| --- | --- |\n| A\\|B | 9 euros |",
    ),
    "cells over several columns": (
        "<table><tr><td colspan=2>a<td>b<tr><td>1<td>2<td>3</table>",
        "| a |  | b |\n| --- | --- | --- |\n| 1 | 2 | 3 |",
    ),
    "a table in a table gives its words": (
        "<table><tr><td>a<td><table><tr><td>b<td>c</table></table>",
        "| a | b c |\n| --- | --- |",
    ),
    "a table of one column arranges things": ("<table><tr><td>a<tr><td>b</table>", "a\n\nb"),
    "code": (
        '<pre><code class="language-php">&lt;?php\n  echo 1;\n</code></pre><p>Call <code>wp_head()</code></p>',
        "```php\n<?php\n  echo 1;\n```\n\nCall `wp_head()`",
    ),
    "code with ticks in it": ("<pre>```\nx</pre><code>a`b</code>", "````\n```\nx\n````\n\n``a`b``"),
    "verses": ('<pre class="wp-block-verse">One\n  two</pre>', "One\n  two"),
    "quotations": ("<blockquote><p>a</p><p>b<br>c</p></blockquote>d", "> a\n\n> b\n> c\n\nd"),
    "lines that look like structure": ("<p>One<br># no heading<br>&gt; said</p>", "One\n\\# no heading\n\\> said"),
    "words that look like structure": ("<p># no heading</p><p>``` no code</p>", "\\# no heading\n\n\\``` no code"),
    "characters and their names": ("<p>caf&eacute; &amp; &#x1F6B2;&nbsp;x&shy;y</p>", "café & 🚲 xy"),
    "the base text of ruby": ("<p>日本<ruby>語<rp>(</rp><rt>ご</rt></ruby></p>", "日本語"),
    "the only main part": ("<header>Menu</header><main><p>Text</p></main><footer>x</footer>", "Text"),
    "terms and what they mean": ("<dl><dt>a</dt><dd>b</dd></dl>", "a\n\nb"),
    "elements that nobody closed": ("<p>a<p>b<ul><li>c<li>d", "a\n\nb\n\n- c\n- d"),
    "ends of what was never open": ("</td></li></table></ul></pre></main>a</code>", "a"),
}


@pytest.mark.parametrize(("source", "text"), KEPT.values(), ids=list(KEPT))
def test_a_post_is_written_as_markdown(source: str, text: str) -> None:
    assert markdown_of(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert('x')</script>",
        "<style>p{}</style>",
        "<template><p>x</p></template>",
        "<noscript><img alt='x'></noscript>",
        "<svg><title>x</title><text>x</text></svg>",
        "<p hidden>x</p>",
        "<div style='color:red; Display : NONE'>x<p>y</p></div>",
        "<span style='visibility:hidden'>x</span>",
        "<a aria-hidden='true'>#</a>",
        "<nav><ul><li>x</li></ul></nav>",
        "<form><select><option>x</select><textarea>x</textarea><button>x</button></form>",
        "<iframe>x</iframe><object>x</object><video>x</video>",
        "<!-- x --><?php x ?><![CDATA[x]]>",
    ],
)
def test_what_a_reader_does_not_see_is_left_out(source: str) -> None:
    assert markdown_of(f"<p>before</p>{source}<p>after</p>") == "before\n\nafter"


@pytest.mark.parametrize("source", ["", " \n ", "<p></p>", "<!-- only -->", "\x00", "<script>"])
def test_a_post_without_text_is_empty(source: str) -> None:
    assert markdown_of(source) == ""


def test_nothing_comes_out_that_a_database_refuses() -> None:
    assert markdown_of("<p>a\x00b\ud800c\x0b\x1bd\ufffee&#xad;f</p>") == "abc def"
    for source in ("<p>a&#0;b&#xD800;c&#x1;d&#xFFFE;&#11;&#12;e</p><title>a&#0;&#1;</title>", "<p title='\x00'>x"):
        assert not set(markdown_of(source)) & set(map(chr, [*range(9), *range(11, 32), *range(0xD800, 0xE000)]))


def test_the_title_of_a_page_is_told_and_no_part_of_its_text() -> None:
    page = html.read("<html><head><title> The\n shop </title></head><body><title>x</title>words</body></html>")
    assert (page.title, page.text) == ("The shop", "words")


def test_text_beyond_the_bound_is_left_out() -> None:
    page = html.read("<p>word</p>" * 1000, max_chars=100)
    assert page.truncated
    assert len(page.text) <= 100
    assert page.text.startswith("word\n\nword")
    assert html.read("<table>" + "<tr><td>word<td>x" * 1000, max_chars=100).truncated
    assert html.read("word" * 1000, max_chars=100).truncated


def test_a_table_with_a_row_of_many_cells_does_not_make_the_others_longer() -> None:
    source = "<table><tr>" + "<td>x" * 3000 + "<tr><td>y<td>z" * 2000 + "</table>"
    assert len(html.read(source).text) < 60_000


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 100_000,
        "<b>" * 990 + "</i>" * 10_000,
        "".join(f"<font size={n}><p>" for n in range(3000)),
        "<table>" * 900 + "<td>x" * 5000,
        "<ul><li>" * 450 + "x",
        "<blockquote>" * 900 + "x",
        "[a " * 20_000,
        "[/a" * 20_000,
        "<" * 60_000,
        "<!--" * 15_000,
        "\n \n" * 20_000,
        "<p a='" * 10_000,
    ],
    ids=lambda source: source[:14],
)
def test_a_page_made_to_take_long_ends(source: str) -> None:
    try:
        size = len(html.read(source).text)
    except ExtractionFailed as error:
        size = 0 if (error.code, "1000 elements" in error.detail) == ("damaged", True) else -1
    assert 0 <= size <= 4 * len(source)


def test_a_long_post_is_read_in_a_process_of_its_own() -> None:
    source = "<h2>Part</h2><p>word</p>" * 5000
    assert len(source) > html.MAX_INLINE_CHARS
    text = markdown_of(source)
    assert text.startswith("## Part\n\nword\n\n## Part")
    assert (text.count("## Part"), text.count("word")) == (5000, 5000)
    assert markdown_of("<!-- nothing -->" * 5000) == ""
    with pytest.raises(ExtractionFailed, match="1000 elements"):
        markdown_of("<div>" * 20_000)
