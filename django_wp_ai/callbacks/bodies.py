"""What a callback says: an event of ours, or the body that an older contract names (PROTOCOL §5)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django_wp_ai.callbacks.profiles import EVENT, shape_of
from django_wp_ai.jobs.reading import describe
from django_wp_ai.models import Job

#: What ``describe`` tells of a job.
Told = Mapping[str, Any]
#: Where the text of a result stands, by its kind.
TEXTS = ("content", "summary", "summary_markdown", "text", "output")


def event(type: str, data: Mapping[str, Any], *, at: datetime, profile: str) -> bytes:  # noqa: A002 - as on the wire
    """The body of an event; receivers of ``ai-signature`` would take ``timestamp`` for that of the attempt: none."""
    body: dict[str, Any] = {"type": type, "timestamp": at.astimezone(UTC).isoformat(), "data": data}
    if profile == "ai-signature":
        del body["timestamp"]
    return encoded(body)


def of_job(job: Job, type: str, *, at: datetime, profile: str) -> bytes:  # noqa: A002 - as on the wire
    """The body that tells of an ended job, in the shape that it asked for."""
    told, shape = describe(job), shape_of(profile, job.callback_context)
    if shape == EVENT:
        return event(type, told, at=at, profile=profile)
    return encoded(_SHAPES[shape](job, told))


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON that every receiver reads: valid UTF-8, and null for a number that JSON has not."""
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(body), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _chat_reply(job: Job, told: Told) -> dict[str, Any]:
    """Row 2. The contract knows no failure; one comes with empty content and an error beside it."""
    body = {"job_id": _their_id(job), "content": _text(told["result"]), "usage": told["usage"]}
    return {**body, "error": told["error"]} if told["error"] else body


def _post_summary(job: Job, told: Told) -> dict[str, Any]:
    """Row 5."""
    post = {"post_id": job.callback_context.get("post_id")}
    if told["error"]:
        return {**post, "status": "error", "error": told["error"]["message"]}
    return {**post, "status": "ok", "summary": _text(told["result"])}


def _document_summary(job: Job, told: Told) -> dict[str, Any]:
    """Row 6: what the result has no value for is told from the job, or is empty."""
    context, found = job.callback_context, told["result"] if isinstance(told["result"], dict) else {}
    head = {"job_id": _their_id(job), "attachment_id": context.get("attachment_id")}
    if told["error"]:
        return {**head, "error": told["error"]}
    text = _text(told["result"])
    return {
        **head,
        "title": found.get("title") or context.get("title") or "",
        "summary_markdown": text,
        "word_count": found.get("word_count", len(text.split())),
        "processing_ms": found.get("processing_ms", _took_ms(job)),
        "chunks": found.get("chunks", 1),
        "s3_text_key": found.get("s3_text_key", ""),
    }


def _job_result(job: Job, told: Told) -> dict[str, Any]:
    """Row 12."""
    body = {
        "job_id": _their_id(job),
        "idempotency_key": job.callback_context.get("idempotency_key", job.idempotency_key),
        "status": told["status"],
        "result_json": told["result"],
        "usage": {"tokens": job.input_tokens + job.output_tokens, "ms": _took_ms(job)},
    }
    return {**body, "error": told["error"]} if told["error"] else body


_SHAPES: dict[str, Callable[[Job, Told], dict[str, Any]]] = {
    "chat_reply": _chat_reply,
    "post_summary": _post_summary,
    "document_summary": _document_summary,
    "job_result": _job_result,
}


def _their_id(job: Job) -> Any:
    """The client's own id of the job, where it gave one."""
    return job.callback_context.get("job_id", str(job.id))


def _text(result: Any) -> str:
    """The text of a result; all of it as JSON where it has none."""
    if result is None or isinstance(result, str):
        return result or ""
    if isinstance(result, dict):
        for name in TEXTS:
            if isinstance(result.get(name), str):
                return str(result[name])
    return json.dumps(result, ensure_ascii=False)


def _took_ms(job: Job) -> int:
    if job.started_at is None or job.finished_at is None:
        return 0
    return max(0, round((job.finished_at - job.started_at).total_seconds() * 1000))
