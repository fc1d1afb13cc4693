"""From text to the terms it is found by: words stemmed by language, runs without blanks as pairs of characters.

PostgreSQL's own configurations know no Japanese and no Chinese, and SQLite has none, so the analysis is done here, the
same for both.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import snowballstemmer

from django_wp_ai.rag.search.stop_words import STOP_WORDS

MAX_WORD = 64
PART = 5  # letters of a piece of a word, in languages that join words
MAX_TERMS = 16_000  # of one text; a passage has some hundreds
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED += r"\uac00-\ud7af\U00020000-\U000323af"  # Korean has blanks, but its endings stick to the words
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['\u2019][^\W\d_{_UNSPACED}]+)*")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_ALGORITHMS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian",
    "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil",
    "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
#: Languages that write what English keeps apart as one word: their words are found by pieces too.
JOINING = frozenset({"da", "de", "et", "fi", "hu", "nb", "nl", "nn", "no", "sv"})
KEPT_WORDS = 20_000  # some 450 bytes each
_KNOWN = frozenset(snowballstemmer.algorithms())
_stemmers = threading.local()  # a stemmer keeps the word it works on


def terms(text: str, language: str = "") -> list[str]:
    """The terms of a text in its order, without those that carry no subject in ``language`` (ISO 639-1 or empty)."""
    short = language.partition("-")[0].lower()
    found: list[str] = []
    for token in tokens(text):
        is_kept = len(token) <= MAX_WORD and not token.isdecimal()  # words come again, numbers hardly
        found += _terms_of(token, short) if is_kept else _made(token, short)
        if len(found) >= MAX_TERMS:
            return found[:MAX_TERMS]
    return found


def wanted(text: str, languages: Iterable[str], *, limit: int) -> list[tuple[str, ...]]:
    """The different terms that a question asks for; each with its forms in the languages that are searched.

    A form that ends in ``*`` stands for all terms that begin with it.
    """
    spoken = list(dict.fromkeys(language.partition("-")[0].lower() for language in languages)) or [""]
    found: dict[tuple[str, ...], None] = {}
    for token in tokens(text):
        for forms in _asked(token, spoken):
            if forms:
                found[forms] = None
        if len(found) >= limit:
            break
    return list(found)[:limit]


def _made(token: str, language: str) -> tuple[str, ...]:
    if _IS_UNSPACED.match(token):
        return tuple(_pairs(token))
    stems = [token[:MAX_WORD]] if token.isdecimal() else [stemmed(part, language) for part in _parts(token)]
    return tuple(term for stem in stems if stem for term in (stem, *_pieces(stem, language)))


_terms_of = lru_cache(maxsize=KEPT_WORDS)(_made)


def _asked(token: str, spoken: list[str]) -> Iterator[tuple[str, ...]]:
    if not _IS_UNSPACED.match(token):
        for part in _parts(token):
            stems = {language: stem for language in spoken if (stem := stemmed(part, language))}
            yield tuple(dict.fromkeys(stems.values()))
            yield from ((piece,) for language, stem in stems.items() for piece in _pieces(stem, language))
    elif len(token) == 1:
        yield (f"{token}*",)
    else:
        yield from ((token[at : at + 2],) for at in range(len(token) - 1))


def tokens(text: str) -> Iterator[str]:
    """Words and runs without blanks, in the form in which they are compared."""
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text).lower()):
        yield match[0]


def _parts(token: str) -> Iterator[str]:
    """A name such as ``wp_insert_post`` is found whole and by its parts."""
    token = token.strip("_")
    if "_" in token:
        yield from (part for part in token.split("_") if part)
    if token:
        yield token


def _pieces(stem: str, language: str) -> Iterator[str]:
    """Each five letters of a word, marked: „Vollkornbrötchen“ is found by „Brötchen“, and the other way round."""
    if language in JOINING:
        yield from (f"_{stem[at : at + PART]}" for at in range(len(stem) - PART + 1))


def _pairs(run: str) -> Iterator[str]:
    """Each two neighbours, and the last character, so that a single one can be found by what begins with it."""
    yield from (run[at : at + 2] for at in range(len(run) - 1))
    yield run[-1]


@lru_cache(maxsize=KEPT_WORDS)
def stemmed(word: str, language: str) -> str:
    """The stem by the language's Snowball algorithm (English where there is none); empty for a stop word."""
    word = word.replace("\u2019", "'")[:MAX_WORD]
    if word in STOP_WORDS.get(language, STOP_WORDS["en"] if language not in _ALGORITHMS else ()):
        return ""
    if word.isdecimal():
        return word
    stem: str = _stemmer(language).stemWord(word)
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", stem))
    return unicodedata.normalize("NFC", bare).replace("'", "") or word.replace("'", "")


def _stemmer(language: str) -> Any:
    algorithm = _ALGORITHMS.get(language, "english")
    name = algorithm if algorithm in _KNOWN else "english"
    made: dict[str, Any] = _stemmers.__dict__
    if name not in made:
        made[name] = snowballstemmer.stemmer(name)
    return made[name]
