"""A tenant's fields as options of a command, and as what a command prints of them."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from django_wp_ai.management import arguments
from django_wp_ai.models import Tenant


@dataclass(frozen=True, slots=True)
class Option:
    """One option of ``create`` and ``set``, the field it sets, and how argparse takes it."""

    flag: str
    field: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def _value(flag: str, metavar: str, type_: Any, text: str = "", *, field: str = "") -> Option:
    return Option(flag, field or _field_of(flag), {"metavar": metavar, "type": type_, "help": text or None})


def _repeated(flag: str, metavar: str, field: str) -> Option:
    return Option(flag, field, {"metavar": metavar, "action": "append", "help": "May be repeated."})


def _choice(flag: str, choices: list[str]) -> Option:
    return Option(flag, _field_of(flag), {"choices": choices})


def _switch(flag: str) -> Option:
    return Option(flag, _field_of(flag), {"action": argparse.BooleanOptionalAction})


def _field_of(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


_TEXT, _LIMIT, _USD, _NAMES = arguments.text_or_none, arguments.limit, arguments.money, arguments.names
OPTIONS = (
    _value("--name", "N", _TEXT),
    _value("--site-url", "URL", _TEXT),
    _value("--timezone", "ZONE", str, "IANA name; days and months begin there."),
    _repeated("--origin", "O", "origins"),
    _repeated("--callback-host", "H", "callback_hosts"),
    _value("--callback-url", "URL", _TEXT, "Where the plugin receives callbacks; pairing sets it."),
    _value("--rpm", "N", _LIMIT, "Requests per minute."),
    _value("--rpd", "N", _LIMIT, "Requests per day."),
    _value("--tpm", "N", _LIMIT, "Tokens per minute."),
    _value("--end-user-rpm", "N", _LIMIT, "Requests per minute of one end user."),
    _value("--end-user-rpd", "N", _LIMIT, "Requests per day of one end user."),
    _value("--ip-rpm", "N", _LIMIT, "Requests per minute of one address without an end user."),
    _value("--max-streams", "N", _LIMIT, "Streams at the same time."),
    _value("--routes", "JSON", arguments.json_object, 'Limits by route: {"chat": {"rpm": 10}}.'),
    _value("--budget-day-usd", "X", _USD),
    _value("--budget-month-usd", "X", _USD),
    _value("--soft-budget-day-usd", "X", _USD, "Tells and does not refuse."),
    _value("--soft-budget-month-usd", "X", _USD, "Tells and does not refuse."),
    _repeated("--alert-email", "ADDRESS", "alert_emails"),
    _value("--alert-url", "URL", _TEXT, "Gets alerts as Standard Webhooks."),
    _choice("--digest", Tenant.Digest.values),
    _value("--models", "A,B", _NAMES, "Allowed models, names or globs.", field="allowed_models"),
    _value("--denied-models", "A,B", _NAMES, "Names or globs."),
    _value("--model-aliases", "JSON", arguments.json_object, 'Such as {"smart": ["openai:gpt-4o"]}.'),
    _value("--default-model", "M", _TEXT),
    _value("--system-prompt", "TEXT", _TEXT, "Put before every chat."),
    _value("--max-tokens-limit", "N", _LIMIT, "The highest max_tokens."),
    _value("--default-max-tokens", "N", _LIMIT),
    _value("--temperature-min", "T", arguments.number),
    _value("--temperature-max", "T", arguments.number),
    _value("--default-temperature", "T", arguments.number),
    _choice("--cache-mode", Tenant.CacheMode.values),
    _value("--cache-ttl-s", "N", arguments.whole, "Seconds."),
    _switch("--cache-per-end-user"),
    _value("--conversation-tokens", "N", arguments.whole),
    _value("--conversation-days", "N", arguments.whole),
    _value("--allowed-tools", "A,B", _NAMES, "Names or globs."),
    _value("--max-running-jobs", "N", _LIMIT, "Jobs running at the same time."),
    _value("--job-rpm", "N", _LIMIT, "Jobs created per minute."),
    _value("--end-user-job-rpm", "N", _LIMIT, "Jobs created per minute by one end user."),
    _value("--job-days", "N", arguments.whole, "How long an ended job is kept."),
    _choice("--job-retention", Tenant.Retention.values),
    _switch("--redact-pii"),
    _value("--redaction-locales", "A,B", _NAMES),
    _value("--redaction-patterns", "JSON", arguments.json_object, 'Such as {"order": "ORD-[0-9]{6}"}.'),
    _repeated("--denied-term", "TEXT", "denied_terms"),
    _choice("--moderation", Tenant.Moderation.values),
)
#: Where what is printed has another name than the field.
PRINTED_AS = {"allowed_models": "models"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options; one that is not given stays out of the namespace."""
    for option in OPTIONS:
        parser.add_argument(option.flag, dest=option.field, default=argparse.SUPPRESS, **option.settings)


def apply(tenant: Tenant, options: dict[str, Any]) -> list[str]:
    """Set the given fields; returns their names."""
    changed = [option for option in OPTIONS if option.field in options]
    for option in changed:
        value = options[option.field]
        if option.settings.get("action") == "append":
            value = [] if [entry.lower() for entry in value] == [arguments.NONE] else list(dict.fromkeys(value))
        setattr(tenant, option.field, value)
    return [option.field for option in changed]


def described(tenant: Tenant) -> dict[str, Any]:
    """Every field that an option sets."""
    return {PRINTED_AS.get(option.field, option.field): getattr(tenant, option.field) for option in OPTIONS}
