"""``manage.py demo``: the whole product on a machine that has only Python."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo.launcher.running import DEFAULT_DATA
from example import providers


def port_number(value: str) -> int:
    """A TCP port; 0 lets the system choose."""
    if not value.isascii() or not value.isdigit() or int(value) > 65535:
        raise ArgumentTypeError(f"{value!r} is not a port; give a number from 0 to 65535")
    return int(value)


class Command(BaseCommand):
    """Starts PostgreSQL, Valkey, uvicorn and qcluster on a data folder and runs until Ctrl-C or SIGTERM."""

    help = "Run the whole example: database, cache, web server and worker. Needs nothing but Python."
    requires_system_checks: list[str] = []  # the launcher's settings are not the site's

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Everything has a default."""
        parser.add_argument("--port", type=port_number, default=8000, help="port of the site (default: %(default)s)")
        parser.add_argument(
            "--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="where the demo keeps its data and keys"
        )
        parser.add_argument("--reset", action="store_true", help="delete the demo's data and keys first")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until stopped; a CommandError says in one line why it can't."""
        try:
            from demo.launcher.announce import table
            from demo.launcher.data_dir import DataDir
            from demo.launcher.run import Stopped, run_demo
        except ImportError as error:  # fcntl
            raise CommandError(
                f"The demo runs on Linux and macOS ({error.name} is missing). On Windows use WSL."
            ) from error
        data = DataDir(options["data"])
        self.stdout.write("Starting PostgreSQL, Valkey, the web server and the worker ...")
        self.stdout.flush()

        def announce(demo: dict[str, Any], took_s: float) -> None:
            self.stdout.write("\n" + table(demo, provider=providers.describe(), data=data.path, took_s=took_s))
            self.stdout.flush()

        try:
            run_demo(data, port=options["port"], reset=options["reset"], announce=announce)
        except Stopped:
            self.stdout.write("\nStopped.")
