"""How every command of this package reports: a table for people or JSON, one line and a non-zero exit on an error."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError, OperationalError, ProgrammingError

from django_wp_ai.exceptions import WpAiError

Row = Mapping[str, Any]


class _ReportEncoder(DjangoJSONEncoder):
    """Money as a JSON number: budgets have at most 12 digits, which a double holds exactly."""

    def default(self, o: Any) -> Any:
        return float(o) if isinstance(o, Decimal) else super().default(o)


class ReportingCommand(BaseCommand):
    """A command, most often of verbs, that takes ``--json``.

    Subclasses with verbs call ``add_verb`` in ``add_verbs`` and print with ``report`` or ``report_table``.
    """

    # Warnings of startup checks would stand beside the JSON or the one line; `check` prints them.
    requires_system_checks = ()
    as_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the verbs; a wrong argument is one line, not a page of usage."""
        self.add_common(parser)
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.add_verbs()

    def add_common(self, parser: CommandParser) -> None:
        """What every command takes; one without verbs calls this, and sets ``run`` as a default of the parser."""
        parser.called_from_command_line = False
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print JSON.")

    def add_verbs(self) -> None:
        """Call ``add_verb`` for each verb."""
        raise NotImplementedError

    def add_verb(self, verb: str, summary: str, run: Callable[..., None]) -> argparse.ArgumentParser:
        """Add a verb; ``run`` gets its options as keywords."""
        parser: argparse.ArgumentParser = self._verbs.add_parser(verb, help=summary, description=summary)
        parser.set_defaults(run=run)
        parser.add_argument(
            "--json", action="store_true", dest="as_json", default=argparse.SUPPRESS, help="Print JSON."
        )
        # Django's own options are known before the verb only; people write them last.
        for option in ("--settings", "--pythonpath"):
            parser.add_argument(option, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        for flag in ("--traceback", "--no-color", "--force-color"):
            parser.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the shell; also what the parser refuses ends as one line on stderr."""
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            if "--traceback" in argv:
                raise
            self.stderr.write(f"CommandError: {_line(str(error)).removeprefix('Error: ')}")
            raise SystemExit(error.returncode) from None

    def handle(self, *_args: Any, run: Callable[..., None], as_json: bool, **options: Any) -> None:
        """Run the verb; everything a user can cause leaves as CommandError."""
        self.as_json = as_json
        try:
            run(**options)
        except WpAiError as error:
            raise CommandError(_line(error.detail or error.title)) from error
        except ValidationError as error:
            raise CommandError(validation_line(error)) from error
        except UnicodeError as error:
            raise CommandError("An argument is not valid UTF-8.") from error
        except (ImproperlyConfigured, DataError, OperationalError, ProgrammingError) as error:
            # Further lines of a database error quote rows.
            raise CommandError(_line(str(error).partition("\n")[0])) from error

    def report(self, row: Row, *, note: str = "") -> None:
        """Print one thing: names and values, ``note`` below it for people only."""
        if self.as_json:
            self._print_json(row)
            return
        flat = _flatten(row)
        width = max(len(name) for name in flat)
        for name, value in flat.items():
            self.stdout.write(f"{name:<{width}}  {cell(value)}")
        if note:
            self.stdout.write(f"\n{note}")

    def report_table(self, rows: Sequence[Row], *, columns: Sequence[str], empty: str) -> None:
        """Print several things: ``columns`` for people, all fields as JSON; ``empty`` is said when there are none."""
        if self.as_json:
            self._print_json(rows)
            return
        if not rows:
            self.stdout.write(empty)
            return
        lines = [list(columns), *([cell(row[column]) for column in columns] for row in rows)]
        widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
        for line in lines:
            self.stdout.write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

    def _print_json(self, value: Row | Sequence[Row]) -> None:
        self.stdout.write(json.dumps(value, cls=_ReportEncoder, indent=2, ensure_ascii=False))


def cell(value: Any) -> str:
    """A value as a person reads it in a terminal."""
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M %Z}"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return _line(str(value))


def validation_line(error: ValidationError) -> str:
    """All messages of ``full_clean`` as one line, each with the field it belongs to."""
    return _line(
        "; ".join(
            " ".join(messages) if field == "__all__" else f"{field}: {' '.join(messages)}"
            for field, messages in error.message_dict.items()
        )
    )


def _flatten(row: Row) -> dict[str, Any]:
    """Nested objects as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": below for inner, below in _flatten(value).items()})
        else:
            flat[name] = value
    return flat


def _line(text: str) -> str:
    """One line without control characters, which would act on the terminal."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
