"""The call that every contestant makes: one question to the vendor stand-in, which takes its time. Standard library
only, as it also runs where nothing of this project is installed.
"""

from __future__ import annotations

import json
import os
import urllib.request


def ask(number: int, delay_s: float) -> str:
    """The answer's text."""
    text = f"Question {number}. [[delay={delay_s}]]"
    body = {"model": "gpt-4o-mini", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(
        f"{os.environ['VENDOR_URL']}/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": "Bearer vendor-key", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(json.load(reply)["choices"][0]["message"]["content"])
