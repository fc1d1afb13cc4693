"""OpenAI's embeddings."""

from __future__ import annotations

import base64
import json
import re
from array import array
from math import sqrt
from typing import Any
from zlib import crc32

from tests.vendor.openai import Refused

DEFAULT_DIMENSIONS = 1536


def embeddings(body: dict[str, Any]) -> bytes:
    """Vectors of hashed words (so that texts with common words are near), 1 token a word; raises Refused."""
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(body.get("model"), str):
        raise Refused(400, "you must provide a model parameter", param="model")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Refused(400, "'$.input' is invalid.", param="input")
    size = body.get("dimensions", DEFAULT_DIMENSIONS)
    vectors = [_vector(text, size) for text in texts]
    packed = body.get("encoding_format") == "base64"
    tokens = sum(len(text.split()) for text in texts)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.tobytes()).decode() if packed else list(vector),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage}).encode()


def _vector(text: str, size: int) -> array[float]:
    vector = array("f", bytes(4 * size))
    for word in re.findall(r"\w+", text.lower()) or [text]:
        vector[crc32(word.encode()) % size] += 1.0
    norm = sqrt(sum(value * value for value in vector))
    return array("f", (value / norm for value in vector))
