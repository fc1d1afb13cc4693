"""Types of command-line values, for ``type=`` of argparse; each refuses with a usable sentence."""

from __future__ import annotations

import json
import math
import re
import sys
from argparse import ArgumentTypeError
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import UUID

NONE = "none"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_DURATION = timedelta(days=36500)
MAX_COUNT = 2**31 - 1
MAX_PUBLIC_KEY_BYTES = 64 * 1024
MAX_PASSWORD_CHARS = 200

_DURATION = re.compile(r"(\d{1,12})([smhd])", re.ASCII)


def duration(text: str) -> timedelta:
    """``30s``, ``15m``, ``24h``, ``90d``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(f"{text[:40]!r} is not a duration; write 30s, 15m, 24h or 90d.")
    try:
        value = timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError:
        value = timedelta.max
    if value > MAX_DURATION:
        raise ArgumentTypeError(f"{text[:40]!r} is too long; at most {MAX_DURATION.days}d.")
    return value


def limit(text: str) -> int | None:
    """A whole number from 0, or ``none`` for no limit."""
    if text.lower() == NONE:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MAX_COUNT:
        raise ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to {MAX_COUNT}, nor 'none'.")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0."""
    value = limit(text)
    if value is None:
        raise ArgumentTypeError("This has no 'none'; give a number.")
    return value


def number(text: str) -> float | None:
    """A number, or ``none``; never NaN or infinity."""
    if text.lower() == NONE:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text[:40]!r} is not a number, nor 'none'.")
    return value


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, or ``none`` for an empty one."""
    if text.lower() == NONE:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ArgumentTypeError("Give a JSON object in one argument, such as '{\"a\": 1}', or 'none'.")
    return value


def money(text: str) -> Decimal | None:
    """US dollars from 0, or ``none`` for no budget; never NaN or infinity."""
    if text.lower() == NONE:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ArgumentTypeError(f"{text[:40]!r} is not an amount of US dollars from 0, nor 'none'.")
    return value


def text_or_none(text: str) -> str:
    """Text; ``none`` empties the field."""
    return "" if text.lower() == NONE else text


def uuid_of(text: str) -> UUID:
    """An id such as those of jobs."""
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text[:40]!r} is not an id; it has 32 hex digits.") from None


def names(text: str) -> list[str]:
    """Names parted by commas; ``none`` for an empty list."""
    if text.lower() == NONE:
        return []
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise ArgumentTypeError("Give names parted by commas, without an empty one.")
    return list(dict.fromkeys(found))


def public_key_file(path: str) -> str:
    """The text of a file that should hold a public key; its content never gets into a message."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_PUBLIC_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise ArgumentTypeError(f"The public key file can't be read: {reason}.") from None
    if len(content) > MAX_PUBLIC_KEY_BYTES:
        raise ArgumentTypeError(f"The file is larger than {MAX_PUBLIC_KEY_BYTES} bytes; that is no public key.")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise ArgumentTypeError("The file holds no public key in PEM form.") from None


def password_file(path: str) -> str:
    """The first line of a file, or of standard input for ``-``: an argument would stay in a shell's history."""
    try:
        if path == "-":
            line = sys.stdin.readline(MAX_PASSWORD_CHARS + 2)
        else:
            with Path(path).open(encoding="utf-8") as file:
                line = file.readline(MAX_PASSWORD_CHARS + 2)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no text"
        raise ArgumentTypeError(f"The password can't be read: {reason}.") from None
    if len(line.strip()) > MAX_PASSWORD_CHARS:
        raise ArgumentTypeError(f"The password is longer than {MAX_PASSWORD_CHARS} characters.")
    return line.strip()


def callback_id(text: str) -> UUID:
    """A callback's id, also as the ``webhook-id`` that a receiver saw."""
    return uuid_of(text.removeprefix("msg_"))
