"""``manage.py demo_prepare``: what ``manage.py demo`` runs once the database is up."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from demo.content import hand_in
from demo.launcher.data_dir import read_json, write_private
from demo.seed import seed
from django_wp_ai.models import Tenant

MAX_PATH = 95  # characters of the path that fit into a credential's label


class Command(BaseCommand):
    """Migrates the database, fills it with the demo's tenant, keys and admin user, and hands its sample content in."""

    help = "Migrate and fill the demo's database. `manage.py demo` does this itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the keys are kept, for which tenant, where the site will answer, and on whose database."""
        parser.add_argument("--keys", type=Path, required=True, help="file that keeps the demo's keys")
        parser.add_argument("--tenant", required=True, help="slug of the demo's tenant")
        parser.add_argument("--own-database", action="store_true", help="nobody else uses this database")
        parser.add_argument("--base-url", required=True, help="where the demo will answer")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run all steps; the keys are written when the transaction that made them is committed."""
        call_command("migrate", interactive=False, verbosity=options["verbosity"], skip_checks=True)
        keys: Path = options["keys"]
        label = f"demo {str(keys.parent)[-MAX_PATH:]}"
        issued = seed(
            options["tenant"],
            base_url=options["base_url"],
            label=label,
            own_database=options["own_database"],
            held=read_json(keys),
        )
        write_private(keys, issued)
        hand_in(Tenant.objects.get(slug=options["tenant"]), base_url=options["base_url"])
