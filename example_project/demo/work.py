"""The long work that the page offers: three kinds of job, each with a text to try it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.articles import ARTICLES

MAX_TEXT = 4000
_TEXTS = {article.source_id: article.text for article in ARTICLES}
_ORDER = (
    "Dear bakers, here is my order, as your page on cakes says:\n"
    "Name: Ada Winter\nPhone: 555 0100\nCake: Celebration cake for twelve guests\n"
    "The price is 48 euros.\nPick up: Saturday"
)


@dataclass(frozen=True, slots=True)
class OfferedKind:
    """A kind of job as the page offers it; ``options`` are the fields of its input beside the text."""

    name: str
    label: str
    hint: str
    sample: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def input(self, text: str) -> dict[str, Any]:
        """The job's input."""
        return {"text": text, **self.options}


def _nullable(kind: str) -> dict[str, list[str]]:
    return {"type": [kind, "null"]}


_FIELDS = {
    "name": _nullable("string"),
    "phone": _nullable("string"),
    "cake": _nullable("string"),
    "price": _nullable("number"),
    "pick_up": _nullable("string"),
}
KINDS = {
    kind.name: kind
    for kind in (
        OfferedKind(
            "summary",
            "Summary",
            "Two posts in at most 50 words.",
            f"{_TEXTS['post-31']}\n\n{_TEXTS['post-38']}",
            {"length_words": 50},
        ),
        OfferedKind(
            "classify",
            "Classify",
            "One of: Order, Complaint, Class, Allergens.",
            _TEXTS["post-44"],
            {
                "labels": [
                    {"name": "Order", "description": "ordering cakes or bread, prices, delivery"},
                    {"name": "Complaint", "description": "something was burnt or broken, money back, refund"},
                    {"name": "Class", "description": "the bread class, its places and dates"},
                    {"name": "Allergens", "description": "gluten, nuts, milk, vegan"},
                ]
            },
        ),
        OfferedKind(
            "extract",
            "Extract",
            "Name, phone, cake, price and day, as a JSON schema says.",
            _ORDER,
            {"schema": {"type": "object", "properties": _FIELDS, "required": list(_FIELDS)}},
        ),
    )
}
