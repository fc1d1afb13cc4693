"""Answers that are given again for exactly the same question. Blocking; a cache that fails is a miss, never an error.

What may share an answer:

* Only calls of one tenant: the tenant is part of the key's HMAC, and of what is encrypted beside the answer.
* Only calls that ask the same in the same way: whatever changes an answer is in the key. Fields that are not are listed
  in ``LEFT_OUT`` with the reason, so a new field of ``ChatRequest`` counts until somebody decides otherwise.
* Only calls of one end user, unless the tenant shares answers between them. A conversation is never shared.
* Redacted text may be shared like any other: a call is looked up by what the provider would see, and what is kept is
  what the provider said. Both have placeholders where personal data stood; each asker's own vault fills them.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields, is_dataclass
from typing import Any, Final

from django.core.cache import caches

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, ChatResult, Choice, Delta, ToolCall, ToolCallDelta, Usage
from django_wp_ai.gateway.admission import Admitted
from django_wp_ai.models import Tenant
from django_wp_ai.security import secrets
from django_wp_ai.shared_cache import CacheUnavailable, Script, shared_cache

logger = logging.getLogger("django_wp_ai.gateway")

FORMAT: Final = 1
MAX_BYTES: Final = 256 * 1024
#: An answer that was cut, blocked or refused may come out better the next time.
KEPT_FINISHES: Final = frozenset({"stop", "tool_calls"})
LEFT_OUT: Final = {
    "cache": "says whether a kept answer will do, not which",
    "end_user": "counts by the tenant's choice, and in a conversation",
    "plugin": "is for the ledger",
    "conversation_id": "its turns are among the messages",
    "prompt_template": "its text is among the messages, its version in the key",
    "variables": "they are in the template's text",
    "language": "it chose the template's text",
    "server_tools": "calls with tools that run here are not kept",
}
_KEYED = tuple(field.name for field in fields(ChatRequest) if field.name not in LEFT_OUT)
_PIECE = re.compile(r"\s*\S+|\s+")
_GET = Script("return redis.call('GET', KEYS[1])")
_SET = Script("return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])")


def wanted(admitted: Admitted) -> bool:
    """Whether a kept answer will do for this call, and its answer may be kept."""
    tenant, request = admitted.principal.tenant, admitted.request
    if tenant.cache_mode == Tenant.CacheMode.OFF or request.cache is False:
        return False
    if request.n > 1 or request.server_tools:  # several samples are wished to differ; a tool does more than answer
        return False
    return bool(request.cache) or (tenant.cache_mode == Tenant.CacheMode.DETERMINISTIC and request.temperature == 0)


def key_of(admitted: Admitted) -> str:
    """64 hex digits that tell nothing of the call to who does not know this installation's secret."""
    tenant, request = admitted.principal.tenant, admitted.request
    for_one = tenant.cache_per_end_user or admitted.history is not None
    parts = {
        "format": FORMAT,
        "tenant": tenant.pk,
        "content": tenant.content_version,
        # Sorted: weights shuffle the candidates of one name, and each of them may answer for it.
        "targets": sorted(target.name for target in admitted.targets),
        "template": admitted.prompt_template,
        "end_user": admitted.end_user if for_one else None,
        "request": {name: _plain(getattr(request, name)) for name in _KEYED},
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hmac.digest(secrets.current_key("answer-cache"), text.encode("utf-8", "surrogatepass"), "sha256").hex()


def _plain(value: Any) -> Any:
    """As JSON, with one spelling for what means the same: text composed (NFC), whole numbers without a point."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if is_dataclass(value):
        inner = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type of data": type(value).__name__, **inner}
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def get(admitted: Admitted) -> ChatResult | None:
    """The kept answer, as the provider gave it."""
    key = key_of(admitted)
    stored = _read(_name(key))
    if stored is None:
        return None
    try:
        return _result(key, json.loads(secrets.unseal(stored)))
    except (secrets.UndecryptableSecret, ValueError, TypeError, LookupError) as error:
        logger.warning("A kept answer can't be read: %s.", type(error).__name__)
        return None


def put(admitted: Admitted, result: ChatResult) -> None:
    """Keep an answer, as the provider gave it, for the tenant's time."""
    if not _is_worth_keeping(result):
        return
    key = key_of(admitted)
    kept = [FORMAT, key, result.model, astuple(result.usage), [astuple(choice) for choice in result.choices]]
    stored = secrets.seal(json.dumps(kept).encode())
    if len(stored) <= MAX_BYTES:
        _write(_name(key), stored.decode(), admitted.principal.tenant.cache_ttl_s)


def _is_worth_keeping(result: ChatResult) -> bool:
    return bool(result.choices) and all(
        choice.finish_reason in KEPT_FINISHES and choice.refusal is None and (choice.text or choice.tool_calls)
        for choice in result.choices
    )


def _result(key: str, kept: Any) -> ChatResult:
    written_as, kept_key, model, usage, choices = kept
    if (written_as, kept_key) != (FORMAT, key):  # another call's answer, put here by whoever writes in the cache
        raise ValueError("not this call's")
    return ChatResult(
        choices=tuple(
            Choice(text, finish_reason, tuple(ToolCall(*call) for call in calls), refusal)
            for text, finish_reason, calls, refusal in choices
        ),
        usage=Usage(*usage),
        model=model,
    )


def deltas_of(result: ChatResult) -> Iterator[Delta]:
    """The answer as a stream: word by word, then tool calls, then how it ended."""
    for number, choice in enumerate(result.choices):
        for piece in _PIECE.findall(choice.text):
            yield Delta(text=piece, choice=number, model=result.model)
        for index, call in enumerate(choice.tool_calls):
            whole = ToolCallDelta(index, call.id, call.name, call.arguments)
            yield Delta(tool_call=whole, choice=number, model=result.model)
        yield Delta(finish_reason=choice.finish_reason, choice=number, model=result.model)
    yield Delta(usage=result.usage, model=result.model)


def invalidate(tenant: Tenant) -> None:
    """No answer that was kept so far is given again; every process follows within ``CREDENTIAL_CACHE_S``."""
    tenant.raise_content_version()


def _name(key: str) -> str:
    return f"django_wp_ai:answer:{key}"


def _read(name: str) -> bytes | None:
    shared = shared_cache()
    if shared.runs_scripts:
        try:
            found: bytes | None = shared.run(_GET, [shared.key(name)], [])
        except CacheUnavailable:
            return None
        return found
    try:
        text = caches[settings.cache_alias].get(name)
    except Exception as error:  # noqa: BLE001 - whatever a cache client raises, there is no answer
        logger.warning("The cache gave no answer: %s.", type(error).__name__)
        return None
    return text.encode("utf-8", "replace") if isinstance(text, str) else None


def _write(name: str, text: str, ttl_s: int) -> None:
    shared = shared_cache()
    try:
        if shared.runs_scripts:
            shared.run(_SET, [shared.key(name)], [text, ttl_s])
        else:
            caches[settings.cache_alias].set(name, text, timeout=ttl_s)
    except CacheUnavailable:
        return
    except Exception as error:  # noqa: BLE001 - whatever a cache client raises, the answer is not kept
        logger.warning("The cache did not keep an answer: %s.", type(error).__name__)
