"""Which elements of HTML are blocks, which are seen, and what their attributes say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = frozenset(
    re.findall(
        r"[\w-]+",
        """
        script style template noscript svg iframe object embed applet audio video canvas map nav dialog button select
        textarea datalist annotation annotation-xml rt rp frameset
        """,
    )
)
BLOCKS = frozenset(
    re.findall(
        r"\w+",
        """
        address article aside body center details dialog div dl fieldset figure footer form header hgroup hr html legend
        main section search tbody thead tfoot
        """,
    )
)
#: Blocks whose text is one paragraph: an empty line in their source is a space.
PARAGRAPHS = frozenset(re.findall(r"\w+", "p h1 h2 h3 h4 h5 h6 li dt dd figcaption summary caption td th"))
_HIDING = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_LANGUAGE = re.compile(r"\b(?:language|lang|brush:)[-\s]?([\w+#.-]{1,30})")


def is_hidden(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether a reader does not see it: by what it is, or by what is said of it here."""
    if tag in HIDDEN:
        return True
    if not attributes:
        return False
    style = attributes.get("style")
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or bool(style and _HIDING.search(style))


def language_of(attributes: Mapping[str, str]) -> str:
    """The programming language that a class names."""
    found = _LANGUAGE.search(attributes.get("class") or "")
    return found[1] if found else ""
