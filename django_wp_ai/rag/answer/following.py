"""What is searched for a question that goes on with a conversation; decided without a call.

A question that says by itself what it is about is searched as it is. One that leans on what was said (``And on
Sundays?``) is searched together with the user's questions before it, back to one that stands by itself. What was
answered is left out: it may have been about anything that was found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from django_wp_ai.datatypes import Message
from django_wp_ai.rag.answer.comparing import UNSPACED

#: How many earlier questions are added, and how long the search may be.
EARLIER: Final = 3
LONGEST: Final = 1000
#: With fewer words than that (of a script without blanks: characters) a question hardly stands by itself.
FEW_WORDS: Final = 4
FEW_CHARACTERS: Final = 8
_WORD = re.compile(rf"[^\W_{UNSPACED}]+")
_CHARACTER = re.compile(f"[{UNSPACED}]")
#: Of all languages at once, so none that another language, or the same one in another sense, has in most sentences.
_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|him|his|she|her|one|ones|there|then|same|another"
    r"|er|ihn|ihm|ihnen|dies\w*|jen\w+|davon|dabei|dafür|damit|dazu|darin|darüber|dort"
    r"|elle|ils|elles|lui|leur|celui|celle|ceux|celles|ça|cela|ceci"
    r"|él|ella|ellos|ellas|eso|esto|esa|ese|esos|esas|estos|estas|allí|ahí"
    r"|lei|loro|questo|questa|quello|quella|lì|hij|zij|dit|deze|daar)\b"
    r"|^(?:and|but|or|so|also|what about|how about|why|und|aber|oder|auch|warum|wieso|et|mais|ou|pourquoi|y|e|o|pero|"
    r"por qué|perché|en|maar|waarom)\b"
    r"|それ|これ|あれ|その|この|あの|そこ|ここ|では[、,]|じゃあ|他に|ほかに|它|他们|她们|这个|那个|这些|那些",
    re.IGNORECASE,
)


def query_of(question: str, history: Sequence[Message]) -> str:
    """What to search for."""
    asked = [question]
    for message in reversed(history):
        if len(asked) > EARLIER or not _leans(asked[-1]):
            break
        if message.role == "user" and message.text.strip():
            asked.append(message.text.strip())
    together = "\n".join(reversed(asked))
    if len(together) <= LONGEST:
        return together
    return question if len(question) >= LONGEST else together[-LONGEST:]


def _leans(question: str) -> bool:
    words = len(_WORD.findall(question))
    characters = len(_CHARACTER.findall(question))
    is_short = characters < FEW_CHARACTERS if characters > words else words < FEW_WORDS
    return is_short or _LEANS.search(question) is not None
