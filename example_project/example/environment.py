"""Reads the environment variables that drive the settings, with errors that say what to set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; empty counts as not set."""
    return os.environ.get(name, "").strip() or default


def required(name: str, hint: str) -> str:
    """As ``text``; raises ImproperlyConfigured with ``hint`` when it is not set."""
    if not (value := text(name)):
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


def flag(name: str, *, default: bool) -> bool:
    """A yes-or-no variable; anything but 1/0, true/false, yes/no, on/off is refused."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def number(name: str, default: int) -> int:
    """A non-negative whole number."""
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit():
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def names(name: str) -> list[str]:
    """A comma-separated list."""
    return [item.strip() for item in text(name).split(",") if item.strip()]


def database(url: str, *, pool_size: int = 0) -> dict[str, Any]:
    """Django's settings for ``postgresql://user:password@host:port/name?option=value`` or ``sqlite:///path``.

    A socket directory may stand in ``?host=``. ``pool_size`` above 0 keeps a psycopg pool of at most that size.
    PostgreSQL keeps the plans of the statements that every call runs (``prepare_threshold``).
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        if len(parts.path) < 2:
            raise ImproperlyConfigured("DATABASE_URL names no file; write sqlite:///path or sqlite:////absolute/path.")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(unquote(parts.path[1:]))}
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must begin with postgresql:// or sqlite:///.")
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL has no valid port.") from None
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = parts.hostname or options.pop("host", "")
    settings: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(host),
        "PORT": str(port or ""),
        "OPTIONS": {"connect_timeout": 5, "prepare_threshold": 2} | options,
    }
    if pool_size:
        settings["OPTIONS"]["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": 10}
    else:
        settings |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    return settings
