"""The app as a host sees it."""

from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test.utils import CaptureQueriesContext
from django.urls import reverse


def test_the_app_has_its_label_and_a_name_for_people() -> None:
    config = apps.get_app_config("django_wp_ai")
    assert (config.name, str(config.verbose_name)) == ("django_wp_ai", "WordPress AI")
    assert config.default_auto_field == "django.db.models.BigAutoField"


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", "django_wp_ai", check=True, dry_run=True, stdout=StringIO())


@pytest.mark.django_db
def test_getting_ready_asks_nothing_of_the_database() -> None:
    from django.db import connection

    with CaptureQueriesContext(connection) as queries:
        apps.get_app_config("django_wp_ai").ready()
    assert not queries.captured_queries


def test_a_host_finds_the_routes_by_name() -> None:
    assert reverse("django_wp_ai:chat") == "/wp-ai/v1/chat"
    assert reverse("django_wp_ai:chat-stream") == "/wp-ai/v1/chat/stream"
