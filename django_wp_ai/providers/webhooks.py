"""What a vendor tells by itself: events that it posts, signed, to ``webhooks/providers/{name}``.

Both vendors sign as Standard Webhooks has it, and their SDKs verify; this is what is around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import WebhookVerificationError

from django_wp_ai.exceptions import Invalid, Unauthenticated

METHOD = "provider_webhook"
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
#: What can be a key in a table: visible, and not too long for it.
_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TYPE = re.compile(r"[\x21-\x7e]{1,100}")


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified event; ``id`` is the same when it is sent again."""

    id: str
    type: str
    payload: Mapping[str, Any] = field(repr=False)


@contextmanager
def verifying() -> Iterator[None]:
    """Whatever an SDK raises for a body that its vendor did not sign becomes Unauthenticated.

    Besides their own errors that is what they stumble over: base64 that is none, text where ASCII is due. A body that
    was signed and is no JSON raises Invalid.
    """
    try:
        yield
    except (json.JSONDecodeError, RecursionError):
        raise Invalid("The event is not JSON.") from None
    except (WebhookVerificationError, ValueError, TypeError):
        raise Unauthenticated(reason="signature", method=METHOD) from None


def event(payload: Any, kind: Any) -> ProviderEvent:
    """The event in a verified ``payload``; raises Invalid for one without a usable id or type."""
    found = payload.get("id") if isinstance(payload, dict) else None
    if not isinstance(found, str) or not _ID.fullmatch(found) or not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise Invalid("The event has no id or no type.")
    return ProviderEvent(found, kind, payload)
