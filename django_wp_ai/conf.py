"""The one place that reads ``settings.DJANGO_WP_AI``.

A host writes a dict with upper-case keys; the rest of the package reads the frozen ``settings`` object with
lower-case attributes. Nothing is read at import, an unknown key fails with the list of known ones, and
``override_settings`` works.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any, get_type_hints

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

SETTING = "DJANGO_WP_AI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every option with its default. Durations end in ``_s`` (seconds), sizes in ``_bytes``."""

    # Secrets at rest: Fernet keys, newest first. Empty: derived from SECRET_KEY (a check warns).
    encryption_keys: tuple[str, ...] = ()

    # Providers by name: {"openai": {"api_key": "…", "base_url": "…", "models": [...]}}; see docs/providers.md.
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"offline": {}})
    default_model: str = ""  # "provider:model" or an alias; empty: the first provider's default
    model_aliases: Mapping[str, Any] = field(default_factory=dict)  # name or glob -> "provider:model"
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # "provider:model" -> USD per million tokens

    provider_timeout_s: float = 60.0
    provider_connect_timeout_s: float = 5.0
    provider_max_connections: int = 200
    call_deadline_s: float = 120.0  # for all attempts of a call together, up to its first byte
    max_attempts: int = 3  # at one candidate and the next ones, together
    retry_base_s: float = 0.25  # the first wait is random up to this, each further one up to twice the last
    retry_max_s: float = 8.0
    breaker_failures: int = 10  # so many failed attempts within breaker_window_s open a provider's breaker
    breaker_window_s: float = 30.0
    breaker_open_s: float = 15.0  # then one probe is let through
    default_max_tokens: int = 4096  # where the caller gave none but a vendor or budget needs one
    budget_wait_s: float = 5.0  # how long a call waits for money that is held for calls under way
    disconnect_drain_s: float = 10.0  # how long a stream is read on for its true usage after the client left

    # Authentication
    signature_window_s: int = 30
    jwt_max_lifetime_s: int = 300
    jwt_leeway_s: int = 5
    credential_cache_s: float = 0.5  # a revoked credential stops within this time in every process
    stream_token_max_ttl_s: int = 300
    legacy_candidates: int = 100  # signatures without a key id are tried against this many credentials at most

    # HTTP edge
    max_body_bytes: int = 256 * 1024
    max_json_depth: int = 64
    max_messages: int = 512
    stream_heartbeat_s: float = 15.0
    idempotency_max_bytes: int = 1024 * 1024  # a larger reply is not kept for a repeated call
    trusted_proxies: tuple[str, ...] = ()  # CIDRs whose X-Forwarded-For is believed
    health_cidrs: tuple[str, ...] = ()  # who may read health/*; empty: everyone

    # Requests to URLs that tenants give
    outbound_allowed_networks: tuple[str, ...] = ()  # CIDRs that every tenant's URLs may lead to, besides public ones

    # The host's own tools
    tool_max_steps: int = 8  # how often the model is asked in one request; the last time it gets no tools
    tool_max_usd: Decimal = Decimal("0.50")  # for all steps of a request together
    tool_threads: int = 8  # threads for tools that are not async

    # Jobs
    jobs_concurrency: int = 100  # jobs that one worker process runs at the same time
    jobs_per_tenant: int = 100  # of one site at the same time, over all workers; a tenant may set its own
    jobs_queued_per_tenant: int = 20_000  # a further one is refused until some have run
    job_lease_s: int = 30  # a worker that did not renew its lease for so long has lost the job
    job_poll_s: float = 1.0  # how often a worker looks for work that nobody told it of
    job_drain_s: int = 20  # how long a worker that is to stop waits for its jobs before it gives them back
    job_deadline_s: int = 600  # of one attempt, where the kind has no own
    job_max_attempts: int = 4
    job_retry_base_s: float = 5.0  # the first retry waits up to this, each further one up to three times as long
    job_retry_max_s: float = 600.0
    job_dedupe_s: int = 0  # the same input of the same end user within this time is the same job
    batch_max_jobs: int = 1000

    # Callbacks
    callbacks_concurrency: int = 50  # deliveries that one worker process has under way
    callbacks_per_tenant: int = 5
    callback_timeout_s: float = 15.0
    callback_disable_days: int = 5  # an endpoint that failed for so long is switched off

    # Shared parts
    cache_alias: str = "default"
    cache_timeout_s: float = 0.05  # a slower answer of the shared cache counts as none
    db_threads: int = 8  # threads (and so connections) for database work of one ASGI process

    # Retrieval
    rag: bool = True
    max_upload_bytes: int = 20 * 1024 * 1024  # of a file that is uploaded, and of one that is downloaded for a site
    upload_days: int = 7  # what was handed in and could not be read is kept for so long
    sync_every_h: int = 24  # a site that was synced once is looked through again after so long; 0: only when asked
    extract_max_bytes: int = 32 * 1024 * 1024
    extract_max_unpacked_bytes: int = 128 * 1024 * 1024  # of all parts of a DOCX or ODT together
    extract_max_ratio: int = 200  # of these to the file
    extract_max_pages: int = 1000
    extract_max_pixels: int = 50_000_000
    extract_max_chars: int = 2_000_000  # of text; what is beyond is left out
    extract_timeout_s: float = 240.0
    extract_memory_bytes: int = 1024 * 1024 * 1024  # of the process that reads a file
    extract_processes: int = 2  # that one process of the host has at once
    extraction_days: int = 90  # what was read from a file is kept so long after its last use
    ocr_max_pages: int = 50  # of one file
    ocr_languages: tuple[str, ...] = ("eng",)  # Tesseract's names
    ocr_command: str = "tesseract"
    embedding_model: str = ""  # "provider:model" or an alias; empty: the first provider that makes embeddings
    # What the model is sent before the text of a question and before a passage: by embedding model, globs, the first
    # match; others: nothing.
    rag_prefixes: Mapping[str, Any] = field(default_factory=dict)
    rag_exact_chunks: int = 1000  # a search among no more passages compares each of them
    rag_ef_search: int = 100  # how many neighbours the index looks at in one step: more find more, and take longer
    # What the ranking by vectors and the one by words count when they are made one: by embedding model, globs, the
    # first match; others: 1.0 and 0.5.
    rag_weights: Mapping[str, Any] = field(default_factory=lambda: {"*:offline-hash-2": (1.0, 1.0)})
    rag_per_source: int = 3  # passages of one source before others come
    rag_reranker: str = ""  # dotted path of an async callable (query, hits) -> scores
    rag_rerank_timeout_s: float = 2.0
    rag_context_tokens: int = 3000  # of all passages that one answer is made from
    rag_least_similarity: float = 0.0  # a cosine; where no passage comes as near, no model is asked
    rag_index_memory_mb: int = 512  # that PostgreSQL may take to build an index over vectors


#: Numbers that may be 0, which turns the thing off; the others would break what they bound.
MAY_BE_ZERO = frozenset(
    {
        "BUDGET_WAIT_S",
        "CREDENTIAL_CACHE_S",
        "DISCONNECT_DRAIN_S",
        "JOB_DEDUPE_S",
        "JOB_DRAIN_S",
        "JWT_LEEWAY_S",
        "LEGACY_CANDIDATES",
        "RAG_LEAST_SIMILARITY",
        "SYNC_EVERY_H",
    }
)


def _known() -> dict[str, str]:
    return {f.name.upper(): f.name for f in fields(Settings)}


def _coerce(key: str, value: Any, hint: Any) -> Any:
    """Check one value against the type of its field; lists become tuples."""
    origin = getattr(hint, "__origin__", hint)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be a list of strings.")
        return tuple(value)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be a dict.")
        return value
    if hint is bool or (isinstance(value, bool) and hint in (int, float)):
        if hint is not bool or not isinstance(value, bool):
            raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be {'True or False' if hint is bool else 'a number'}.")
        return value
    if hint in (int, float):
        allowed = (int,) if hint is int else (int, float)
        wanted = "not negative" if key in MAY_BE_ZERO else "more than 0"
        if not isinstance(value, allowed) or not 0 <= value < math.inf or not (value or key in MAY_BE_ZERO):
            whole = "a whole number" if hint is int else "a number"
            raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be {whole}, {wanted}.")
        return value
    if hint is Decimal:
        return _amount(key, value)
    if not isinstance(value, str):
        raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be a string.")
    return value


def _amount(key: str, value: Any) -> Decimal:
    """US dollars; a float is refused, as 0.1 is not a tenth in one."""
    try:
        amount = Decimal(value) if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0:
        raise ImproperlyConfigured(f"{SETTING}[{key!r}] must be US dollars, more than 0, written as a string: '0.50'.")
    return amount


def load(raw: Any) -> Settings:
    """Build the settings object from the host's dict; raises ImproperlyConfigured with a usable sentence."""
    if not isinstance(raw, Mapping):
        raise ImproperlyConfigured(f"{SETTING} must be a dict.")
    known = _known()
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        raise ImproperlyConfigured(
            f"Unknown {SETTING} key(s): {', '.join(unknown)}. Known keys: {', '.join(sorted(known))}."
        )
    hints = get_type_hints(Settings)
    return Settings(**{known[key]: _coerce(key, value, hints[known[key]]) for key, value in raw.items()})


class LazySettings:
    """Stands for the current ``Settings``; loads on first use and again after ``override_settings``."""

    _current: Settings | None = None

    def __getattr__(self, name: str) -> Any:
        current = self._current
        if current is None:
            current = self._current = load(getattr(django_settings, SETTING, {}))
        return getattr(current, name)

    def reset(self) -> None:
        """Forget the loaded values."""
        self._current = None


settings = LazySettings()


def _reset_on_change(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        settings.reset()


setting_changed.connect(_reset_on_change, dispatch_uid="django_wp_ai.conf")

__all__ = ["SETTING", "LazySettings", "Settings", "load", "settings"]
