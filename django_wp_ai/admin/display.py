"""How values look in the admin: money, counts, states, a bar of a budget."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import urlsplit

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_wp_ai.models import Credential

CENT = Decimal("0.01")
SMALLEST = Decimal("0.000001")
NEAR = Decimal("0.8")  # of a budget: from here the bar warns

#: A part of a path that looks made by a machine may be a key to it.
_TOKEN = re.compile(r"[^/]{20,}")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

TONES = {
    "live": "good",
    "succeeded": "good",
    "indexed": "good",
    "delivered": "good",
    "done": "good",
    "not_yet": "wait",
    "queued": "wait",
    "running": "wait",
    "pending": "wait",
    "received": "wait",
    "retried": "wait",
    "sent": "wait",
    "waiting": "wait",
    "expired": "off",
    "cancelled": "off",
    "settled": "off",
    "revoked": "bad",
    "failed": "bad",
    "dead": "bad",
    "lost": "bad",
}


def usd(amount: Decimal | None, *, cents_from: Decimal = Decimal(1)) -> str:
    """Dollars: to the cent from ``cents_from`` on, to six places below it; an unknown amount is said to be unknown."""
    if amount is None:
        return _("unknown")
    if amount == 0:
        return "$0.00"
    if amount < SMALLEST:
        return "<$0.000001"
    if amount >= cents_from:
        return f"${number_format(amount.quantize(CENT, ROUND_HALF_UP), 2, force_grouping=True)}"
    digits = f"{amount.quantize(SMALLEST, ROUND_HALF_UP):f}".rstrip("0")
    places = max(2, len(digits.partition(".")[2]))
    return f"${number_format(amount.quantize(SMALLEST, ROUND_HALF_UP), places)}"


def usd_sum(amount: Decimal) -> str:
    """The cost of many calls: to the cent, unless it is less than one."""
    return usd(amount, cents_from=CENT)


def count(number: int | None) -> str:
    """A whole number with the locale's grouping."""
    return number_format(number or 0, 0, force_grouping=True)


def milliseconds(number: int | None) -> str:
    """A duration, in seconds from one second on."""
    if number is None:
        return "-"
    if number < 1000:
        return f"{number} ms"
    return f"{number_format(Decimal(number) / 1000, 1)} s"


def duration(span: timedelta | float) -> str:
    """A time span, in seconds with a decimal below one minute, else in its two largest units."""
    seconds = max(0.0, span.total_seconds() if isinstance(span, timedelta) else span)
    if seconds < 60:
        return milliseconds(round(seconds * 1000))
    parts, rest = [], int(seconds)
    for size, unit in _UNITS:
        number, rest = divmod(rest, size)
        parts.append(f"{number} {unit}" if number else "")
    first = next(index for index, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


def address(url: str) -> str:
    """Host and path of a URL, without what may be a secret: user, query, long parts of the path."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "-"
    if not host:
        return "-"
    return f"{host}{port}{_TOKEN.sub('…', parts.path.rstrip('/'))}{'?…' if parts.query else ''}"


def bar(percent: int, *, tone: str = "good") -> SafeString:
    """How far something has come; the number stands beside the bar."""
    return format_html(
        '<span class="wpai-progress"><progress class="wpai-bar wpai-bar-{}" max="100" value="{}"></progress>'
        "<span>{} %</span></span>",
        tone,
        percent,
        percent,
    )


def titled(name: str, short_id: str, below: str) -> SafeString:
    """A row's name with the beginning of its id, and a quiet line below."""
    line = '{} <span class="wpai-id">{}</span><div class="wpai-below">{}</div>'
    return format_html(line, name, short_id, below)


def badge(state: str, label: object) -> SafeString:
    """A state as a small coloured label; the word carries the meaning, the colour helps."""
    return format_html('<span class="wpai-badge wpai-{}">{}</span>', TONES.get(state, "off"), label)


def credential_badge(credential: Credential) -> SafeString:
    """The state of a credential; a live one of a deactivated tenant is refused as well."""
    status = credential.status()
    if status == Credential.Status.LIVE and not credential.tenant.is_active:
        return badge("expired", _("tenant inactive"))
    return badge(status, status.label)


def spent_of(spent: Decimal, budget: Decimal) -> SafeString | str:
    """What is spent of a budget, with a bar."""
    text = _("%(spent)s of %(budget)s") % {"spent": usd_sum(spent), "budget": usd_sum(budget)}
    if not budget:
        return text
    tone = "bad" if spent >= budget else "wait" if spent >= budget * NEAR else "good"
    return format_html(
        '<span class="wpai-budget"><progress class="wpai-bar wpai-bar-{}" max="100" value="{}" title="{}%">'
        "</progress><span>{}</span></span>",
        tone,
        min(100, int(spent * 100 / budget)),
        int(spent * 100 / budget),
        text,
    )
