"""A job's input, result and step results as they are stored: encrypted JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django_wp_ai.security import secrets


def seal(value: Any) -> bytes:
    """JSON-serialisable ``value`` as stored."""
    return secrets.seal(_canonical(value))


def unseal(stored: bytes | memoryview) -> Any:
    """What was sealed; raises UndecryptableSecret when no configured key opens it."""
    return json.loads(secrets.unseal(bytes(stored)))


def digest(*parts: Any) -> str:
    """SHA-256 in hex of values that make two inputs the same."""
    return hashlib.sha256(_canonical(list(parts))).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "surrogatepass")
