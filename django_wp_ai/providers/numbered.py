"""Numbered texts from outside in a prompt (``[2]`` on the line above a fence), as the offline provider reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from django_wp_ai.providers import words

_NUMBERED = re.compile(
    r"^\[(?P<number>\d{1,3})\]\n<untrusted id=\"(?P<id>[0-9a-f]{16,64})\" source=\"[^\"\n]{0,300}\">\n"
    r"(?P<text>.*?)\n</untrusted id=\"(?P=id)\">$",
    re.DOTALL | re.MULTILINE,
)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)


def is_numbered(text: str) -> bool:
    """Whether a message brings numbered texts."""
    return _NUMBERED.search(text) is not None


def around(text: str) -> str:
    """The message without them."""
    return _NUMBERED.sub("\n", text)


def sentences(text: str) -> Iterator[words.Sentence]:
    """Their sentences, each with the number of its text, whatever the text itself says about numbers.

    A heading is no sentence; its words count for those below it.
    """
    for numbered in _NUMBERED.finditer(text):
        pieces = _HEADING.split(numbered["text"])
        yield from _below("", pieces[0], numbered["number"])
        for heading, below in zip(pieces[1::2], pieces[2::2], strict=True):
            yield from _below(heading, below, numbered["number"])


def _below(heading: str, text: str, number: str) -> Iterator[words.Sentence]:
    about = words.content_words(heading)
    for sentence in words.sentences(text):
        yield replace(sentence, words=(*sentence.words, *about), marker=number)
