"""Lines as they stand on a page, joined into paragraphs."""

from __future__ import annotations

import re

#: A line shorter than this part of the page's longest one ends its paragraph.
FULL = 0.8
#: On a page whose lines are all shorter than this, each is for itself: a form, a list, a sign.
NARROW = 40
_WIDE = re.compile(r"[\u3000-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_BETWEEN_WIDE = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])[ ]+(?=[\u3000-\u9fff\uff00-\uffef])")
_ITEM = re.compile(r"(?:[-*\u2022\u25cf\u25aa\u2013]|\(?\d{1,3}[.)])\s")
_BULLET = re.compile(r"^[\u2022\u25cf\u25aa\u25e6]\s*")
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010]$")


def paragraphs(text: str, *, keep: frozenset[str] = frozenset()) -> list[str]:
    """Paragraphs of a page's text. Lines of ``keep`` stand alone; words cut at the end of a line are mended."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    longest = max(map(len, lines), default=0)
    full = FULL * longest if longest >= NARROW else longest + 1
    found: list[str] = []
    last = ""  # the line before, when its paragraph may go on
    for line in lines:
        if line and last and line not in keep and not _ITEM.match(line):
            found[-1] = _joined(found[-1], line)
        elif line:
            found.append(_BULLET.sub("- ", line))
        last = line if len(line) >= full and line not in keep else ""
    return found


def without_gaps(text: str) -> str:
    """Without the blanks that text recognition puts between the characters of scripts that have none."""
    return _BETWEEN_WIDE.sub("", text)


def _joined(before: str, line: str) -> str:
    if _HYPHEN.search(before) and line[0].islower():
        return before[:-1] + line
    return before + line if _WIDE.match(before[-1]) and _WIDE.match(line[0]) else f"{before} {line}"
