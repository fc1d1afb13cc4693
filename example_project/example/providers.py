"""Which AI providers this project uses, from the environment.

``OPENAI_API_KEY`` and/or ``OPENAI_BASE_URL`` (Ollama, vLLM and others speak OpenAI's API) choose ``openai``,
``ANTHROPIC_API_KEY`` chooses ``anthropic``. Without any of them the offline provider answers. It also makes the vectors
of documents where none of the others is known to: name a better model in ``EMBEDDING_MODEL``.
"""

from __future__ import annotations

from typing import Any

from example.environment import text

OFFLINE_MODEL = "offline:offline-extractive"
OFFLINE_EMBEDDINGS = "offline-hash-2"
# Clients written for a vendor name its models; offline these get an answer too, and the reply names the true model.
VENDOR_MODELS = ("gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "claude-*")


def from_environment() -> dict[str, Any]:
    """The ``PROVIDERS``, ``DEFAULT_MODEL`` and ``MODEL_ALIASES`` of ``DJANGO_WP_AI``."""
    providers: dict[str, dict[str, Any]] = {}
    default_model = ""
    key, base_url = text("OPENAI_API_KEY"), text("OPENAI_BASE_URL")
    if key or base_url:
        model = text("OPENAI_MODEL", "gpt-4o-mini")
        default_model = f"openai:{model}"
        # A server of one's own takes any key, but the client refuses to send none.
        providers["openai"] = {"api_key": key or "none", "default_model": model}
        if base_url:
            # What such a server serves is its own business: the named model is listed, any other is passed on.
            providers["openai"] |= {"base_url": base_url, "models": [model, "*"]}
    if key := text("ANTHROPIC_API_KEY"):
        providers["anthropic"] = {"api_key": key}
    if providers:
        providers["offline"] = {"models": [OFFLINE_EMBEDDINGS]}  # the last one: it is asked where no other can
        return {"PROVIDERS": providers, "DEFAULT_MODEL": default_model, "EMBEDDING_MODEL": text("EMBEDDING_MODEL")}
    return {
        "PROVIDERS": {"offline": {}},
        "DEFAULT_MODEL": OFFLINE_MODEL,
        "MODEL_ALIASES": dict.fromkeys(VENDOR_MODELS, OFFLINE_MODEL),
    }


def describe() -> str:
    """One line for people: who answers, and how to have another."""
    if text("OPENAI_BASE_URL"):
        return f"openai at {text('OPENAI_BASE_URL')}, {text('OPENAI_MODEL', 'gpt-4o-mini')}"
    if text("OPENAI_API_KEY"):
        return f"openai, {text('OPENAI_MODEL', 'gpt-4o-mini')}"
    if text("ANTHROPIC_API_KEY"):
        return "anthropic"
    return "offline: quotes the text it is given (set OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY for a model)"
