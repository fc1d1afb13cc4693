"""Each startup check fires on what it is for, says what to do, and is silent otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.management import call_command

from django_wp_ai.checks import TAG, check
from django_wp_ai.rag.extract import installed

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
RIGHT = {"ENCRYPTION_KEYS": [KEY], "RAG": False}
REDIS = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
OPENAI = {"openai": {"api_key": "k"}}


@pytest.fixture(autouse=True)
def right_project(settings: Any) -> None:
    """A project about which only the docs page's assets are to be said."""
    settings.DJANGO_WP_AI = RIGHT
    settings.CACHES = REDIS
    settings.Q_CLUSTER = {"orm": "default", "timeout": 60, "retry": 120, "max_attempts": 1}


def found() -> dict[str, list[checks.CheckMessage]]:
    by_id: dict[str, list[checks.CheckMessage]] = {}
    for message in check(None):
        by_id.setdefault(str(message.id).removeprefix("django_wp_ai."), []).append(message)
    return by_id


def test_a_right_project_is_told_only_of_the_docs_pages_assets() -> None:
    assert set(found()) == {"I001"}


WP_AI = {
    "E001": [
        {"SURPRISE": 1},
        {"PROVIDERS": {"nobody": {}}},
        {"PROVIDERS": {"openai": 5}},
        {"PROVIDERS": {"x": {"class": "no.such.Class"}}},
        {"PROVIDERS": {"offline": {"surprise": 1}}},
        {"ENCRYPTION_KEYS": ["short"]},
        {"PRICES": {"openai:x": {"input": "1"}}},
        {"PRICES": {"openai:x": {"input": "one", "output": "2"}}},
        {"TRUSTED_PROXIES": ["10.0.0.0/99"]},
        {"HEALTH_CIDRS": ["localhost"]},
        {"OUTBOUND_ALLOWED_NETWORKS": ["127.0.0.1/8"]},
        {"RAG_PREFIXES": {"*e5*": "query: "}},
        {"RAG_WEIGHTS": {"*": (1.0,)}},
    ],
    "E002": [
        {"MODEL_ALIASES": {"fast": "gpt-4o"}},
        {"MODEL_ALIASES": {"fast": "nobody:gpt-4o"}},
        {"MODEL_ALIASES": {"fast": "offline:other"}},
        {"MODEL_ALIASES": {"fast": None}},
        {"MODEL_ALIASES": {"fast": []}},
        {"MODEL_ALIASES": {"fast": ["offline:offline-extractive", "nobody:x"]}},
        {"MODEL_ALIASES": {"fast": [{"target": "offline:offline-extractive", "weight": 0}]}},
        {"MODEL_ALIASES": {"fast": [{"target": "offline:offline-extractive", "share": 1}]}},
        {"DEFAULT_MODEL": "nobody:x"},
    ],
    "E003": [{"CACHE_ALIAS": "nothing"}],
    "W002": [{"ENCRYPTION_KEYS": []}],
    "W005": [{"PROVIDERS": {"openai": {}}}, {"PROVIDERS": {"anthropic": {"api_key": ""}}}],
}


@pytest.mark.parametrize(("id_", "options"), [(id_, options) for id_, cases in WP_AI.items() for options in cases])
def test_a_wrong_option_is_found(settings: Any, id_: str, options: dict[str, Any]) -> None:
    settings.DJANGO_WP_AI = {**RIGHT, **options}
    messages = found()

    assert set(messages) - {"I001"} == {id_}
    assert all(message.hint for message in messages[id_])


@pytest.mark.parametrize(
    "options",
    [
        {"PROVIDERS": OPENAI, "MODEL_ALIASES": {"fast": "openai:gpt-4o-mini"}},
        {"PROVIDERS": OPENAI, "DEFAULT_MODEL": "openai:gpt-4o-mini"},
        {"PROVIDERS": {"local": {"class": "openai", "needs_key": False, "base_url": "http://127.0.0.1:1/v1"}}},
        {"PRICES": {"openai:*": {"input": "1", "output": 2}}},
        {"TRUSTED_PROXIES": ["10.0.0.0/8", "::1/128"]},
        {"RAG_PREFIXES": {"*e5*": ("query: ", "passage: ")}, "RAG_WEIGHTS": {"*e5*": [1, 0.5]}},
    ],
)
def test_a_right_option_is_not_remarked_on(settings: Any, options: dict[str, Any]) -> None:
    settings.DJANGO_WP_AI = {**RIGHT, **options}
    assert set(found()) == {"I001"}


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache", "filebased.FileBasedCache"])
def test_a_cache_of_one_process_is_found(settings: Any, backend: str, tmp_path: Path) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": str(tmp_path)}}
    assert set(found()) == {"I001", "W001"}


def test_retrieval_without_postgresql_is_found(settings: Any) -> None:
    from django.db import connection

    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True}
    assert ("W003" in found()) is (connection.vendor != "postgresql")


def test_libraries_and_programs_that_documents_need_are_missed(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True}
    assert {"W013", "I003"} & set(found()) == set()
    monkeypatch.setattr(installed, "LIBRARIES", ("lxml", "no_such_library"))
    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True, "OCR_COMMAND": "no-such-program"}
    assert "no_such_library." in found()["W013"][0].msg
    assert "Tesseract" in str(found()["I003"][0].hint)
    settings.DJANGO_WP_AI = {**RIGHT, "OCR_COMMAND": "no-such-program"}
    assert set(found()) == {"I001"}


@pytest.mark.parametrize("name", ["CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL"])
def test_cors_for_everybody_is_found(settings: Any, name: str) -> None:
    setattr(settings, name, True)
    [message] = found()["W006"]
    assert name in message.msg


@pytest.mark.parametrize(("seconds", "warned"), [(0.0, False), (1.0, False), (1.5, True)])
def test_a_revocation_that_takes_more_than_a_second_is_found(settings: Any, seconds: float, warned: bool) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "CREDENTIAL_CACHE_S": seconds}
    assert ("W007" in found()) is warned


def test_with_ninja_installed_nothing_is_said_of_its_assets(settings: Any) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "ninja"]
    assert not found()


@pytest.mark.parametrize("model", ["nobody:x", "offline:offline-extractive", "unknown", "offline:other"])
def test_an_embedding_model_that_makes_no_embeddings_is_found(settings: Any, model: str) -> None:
    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True, "EMBEDDING_MODEL": model}
    assert "E006" in found()


@pytest.mark.parametrize("model", ["", "offline:offline-hash-2", "offline-hash-2", "vectors"])
def test_an_embedding_model_that_makes_them_is_not_remarked_on(settings: Any, model: str) -> None:
    aliases = {"vectors": "offline:offline-hash-2"}
    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True, "EMBEDDING_MODEL": model, "MODEL_ALIASES": aliases}
    assert not {"E006", "W012"} & set(found())


def test_providers_without_embeddings_are_found_where_documents_are_meant_to_be(settings: Any) -> None:
    settings.DJANGO_WP_AI = {**RIGHT, "RAG": True, "PROVIDERS": {"anthropic": {"api_key": "k"}}}
    assert "W012" in found()


def test_every_message_has_a_hint_and_an_id_of_its_own(settings: Any) -> None:
    settings.DJANGO_WP_AI = {"PROVIDERS": {"openai": {}}, "MODEL_ALIASES": {"a": "b"}}
    settings.CACHES, settings.Q_CLUSTER, settings.CORS_ALLOW_ALL_ORIGINS = LOCMEM, {}, True
    messages = check(None)
    assert {"E002", "I001", "W001", "W002", "W004", "W005", "W006"} <= set(found())
    assert all(message.hint and str(message.id).startswith("django_wp_ai.") for message in messages)


def test_the_checks_are_registered_and_can_be_asked_for_by_app_and_tag() -> None:
    assert check in checks.registry.registry.registered_checks
    assert check([apps.get_app_config("auth")]) == []
    assert check([apps.get_app_config("django_wp_ai")])
    call_command("check", tags=[TAG])


def test_a_check_can_be_silenced(settings: Any) -> None:
    settings.SILENCED_SYSTEM_CHECKS = ["django_wp_ai.I001"]
    assert all(message.is_silenced() for message in check(None))
