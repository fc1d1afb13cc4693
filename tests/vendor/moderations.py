"""OpenAI's moderation: a text is flagged for what its ``flag`` directive says."""

from __future__ import annotations

import json
from typing import Any

from tests.vendor import directives
from tests.vendor.openai import Refused

CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence", "violence/graphic")


def moderations(body: dict[str, Any]) -> bytes:
    """A result for each text; raises Refused."""
    unknown = sorted(set(body) - {"input", "model"})
    if unknown:
        raise Refused(400, f"Unrecognized request argument supplied: {unknown[0]}", param=unknown[0])
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refused(400, "'$.input' is invalid.", param="input")
    results = [_result(text) for text in texts]
    return json.dumps({"id": "modr-1", "model": body.get("model"), "results": results}).encode()


def _result(text: str) -> dict[str, Any]:
    flagged = directives.parse(text).flag
    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": {name: 0.9 if name in flagged else 0.01 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
