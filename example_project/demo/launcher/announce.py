"""What the demo prints once it answers: where everything is, and four calls to paste."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any


def table(demo: dict[str, Any], *, provider: str, data: Path, took_s: float) -> str:
    """The whole text."""
    base, api = demo["base_url"], demo["base_url"] + demo["mount"]
    login = demo["admin"]["password"] or "(the password you chose)"
    rows = (
        ("Page", f"{base}/"),
        ("Admin", f"{demo['admin']['url']}   {demo['admin']['username']} / {login}"),
        ("API docs", f"{api}v1/docs"),
        ("Provider", provider),
        ("All keys", str(data / "demo.json")),
        ("Logs", str(data / "logs")),
    )
    lines = [f"The demo answers after {took_s:.1f} s.", ""]
    lines += [f"  {name:<10}{value}" for name, value in rows]
    lines += [
        "",
        "A question to the site's pages, a chat, the same streamed, and the same as OpenAI's clients send it:",
        "",
    ]
    for line in curl_lines(demo):
        lines += [line, ""]
    lines.append("Stop with Ctrl-C. The data and the keys stay for the next start; --reset starts afresh.")
    return "\n".join(lines)


def curl_lines(demo: dict[str, Any]) -> list[str]:
    """Four calls that work when pasted into a shell."""
    api, key = demo["base_url"] + demo["mount"], demo["api_key"]
    facts, question = "The bakery is open from 8:00 to 14:00 on Saturday.", "When are you open on Saturday?"
    chat = {"system": facts, "prompt": question}
    messages = [{"role": "system", "content": facts}, {"role": "user", "content": question}]
    openai = {"model": "gpt-4o-mini", "messages": messages}
    return [
        _curl(f"{api}v1/ask", f"X-API-Key: {key}", {"question": question}),
        _curl(f"{api}v1/chat", f"X-API-Key: {key}", chat),
        _curl(f"{api}v1/chat/stream", f"X-API-Key: {key}", chat, "-N"),
        _curl(f"{api}v1/chat/completions", f"Authorization: Bearer {key}", openai),
    ]


def _curl(url: str, proof: str, body: dict[str, Any], *options: str) -> str:
    words = ["curl", "-sS", *options, url, "-H", proof, "-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
