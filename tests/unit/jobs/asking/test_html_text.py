"""HTML as the text that a reader sees."""

from __future__ import annotations

import pytest

from django_wp_ai.jobs.asking.html_text import to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Tom &amp; Jerry</p><p>run</p>", "Tom & Jerry\nrun"),
        ("a&nbsp;b &lt;c&gt; &#8364; &euro; &unknown;", "a b <c> € € &unknown;"),
        ("one\ntwo\r\nthree", "one two three"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<ul><li>One<li>Two</ul>", "- One\n- Two"),
        ("in<b>line</b> <i>mark</i>up", "inline markup"),
        ("<!-- wp:paragraph --><p>Block</p><!-- /wp:paragraph -->", "Block"),
        ("<script>if (a < b) { alert('</p>') }</script>seen", "seen"),
        ("<STYLE>p { color: red }</STYLE>seen", "seen"),
        ("<script>never closed", ""),
        ("<svg><title>icon</title><svg></svg>x</svg>seen", "seen"),
        ("<svg/>seen", "seen"),
        ("<noscript><p>no</p></noscript><template><p>no</p></template>seen", "seen"),
        ('<p title="a > b">seen</p>', "seen"),
        ("<p title='never closed>lost", ""),
        ("3 < 4 and 5 > 4 <3", "3 < 4 and 5 > 4 <3"),
        ("</p>stray</div></script> end", "stray\nend"),
        ("<?php echo 1 ?><!DOCTYPE html>seen", "seen"),
        ("seen<!-- never closed", "seen"),
        ("&lt;script&gt;shown&lt;/script&gt;", "<script>shown</script>"),
        ("<p>日本語<br>テキスト</p>", "日本語\nテキスト"),
        ("", ""),
    ],
)
def test_a_reader_sees(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<!", "<script>", "<a ", "&#", "</", "<a href='", "<?", "<svg>", "<p>x"]
)
def test_a_text_of_only_openings_is_read_in_one_go(piece: str) -> None:
    """With a scanner that goes back, these never ended."""
    assert len(to_text(piece * 100_000)) <= len(piece) * 100_000
