"""WordPress shortcodes in raw content: the tags go, the text between an opening and a closing one stays."""

from __future__ import annotations

import re

_TAG = re.compile(r"\[(\[?)(/?)([A-Za-z][\w-]{0,63})((?:\s[^\[\]]{0,4000}?)?)\s?(/?)\](\]?)")
_CLOSING = re.compile(r"\[/([A-Za-z][\w-]{0,63})\s?\]")
_ATTRIBUTE = re.compile(r"\s[\w-]+\s?=")
#: Of WordPress itself; those of plugins are known by their form.
_KNOWN = frozenset({"gallery", "caption", "audio", "video", "playlist", "embed", "more", "nextpage"})


def strip(text: str) -> str:
    """Without shortcodes; words in brackets that only look like one (``[sic]``) stay, and escaped ones lose an escape.

    Which shortcodes a site has can't be known here. One is taken for such when it has attributes, is closed, closes
    itself, has a name made of several words, or is WordPress's own.
    """
    if "[" not in text:
        return text
    known = _KNOWN | {name.lower() for name in _CLOSING.findall(text)}

    def replace(match: re.Match[str]) -> str:
        escape, slash, name, attributes, empty, unescape = match.groups()
        if escape and unescape:
            return match[0][1:-1]
        is_one = slash or empty or "_" in name or "-" in name or name.lower() in known or _ATTRIBUTE.search(attributes)
        return escape + unescape if is_one else match[0]

    return _TAG.sub(replace, text)
