"""Startup checks: each has an id that settings can silence and a hint that says what to do."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.cache import caches
from django.core.cache.backends.base import InvalidCacheBackendError
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register  # noqa: A004 - Django's own name
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connections, router

from django_wp_ai import cluster
from django_wp_ai.conf import SETTING, settings
from django_wp_ai.exceptions import ModelNotAllowed
from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.models.site_policy import target_names, validate_aliases
from django_wp_ai.providers.prices import check_settings as check_prices
from django_wp_ai.providers.registry import providers
from django_wp_ai.rag.choices import check_settings as check_choices
from django_wp_ai.rag.embedding import wanted_model
from django_wp_ai.rag.extract import installed
from django_wp_ai.rag.index.inspecting import WANTED_VERSION, pgvector_version
from django_wp_ai.security.client_ip import networks
from django_wp_ai.security.nonces import is_shared
from django_wp_ai.security.secrets import cipher

TAG = "django_wp_ai"
MAX_CREDENTIAL_CACHE_S = 1.0


@register(TAG)
def check(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Everything that can be known at start; with broken settings, only that."""
    if app_configs is not None and not any(config.name == "django_wp_ai" for config in app_configs):
        return []
    try:
        names = list(providers())
        cipher()
        check_prices()
        check_choices()
        for cidrs in (settings.trusted_proxies, settings.health_cidrs, settings.outbound_allowed_networks):
            networks(cidrs)
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=f"See the configuration page for {SETTING}.", id="django_wp_ai.E001")]
    return [
        *_aliases(names),
        *_revocation(),
        *_cache(),
        *_encryption(),
        *_database(),
        *_embedding_model(),
        *cluster.problems(),
        *_provider_keys(),
        *_cors(),
        *_docs_assets(),
        *_extraction(),
    ]


def _aliases(names: list[str]) -> Iterable[CheckMessage]:
    wanted = [("DEFAULT_MODEL", settings.default_model)] if ":" in settings.default_model else []
    for name, alias in settings.model_aliases.items():
        try:
            validate_aliases({name: alias})
        except ValidationError as error:
            hint = "An alias names 'provider:model', or a list of those, each as a text or with a weight."
            yield Error(f"{SETTING}['MODEL_ALIASES'][{name!r}]: {error.message}", hint=hint, id="django_wp_ai.E002")
            continue
        wanted += [(f"MODEL_ALIASES[{name!r}]", target) for target in target_names(alias)]
    for where, target in wanted:
        provider, _, model = target.partition(":")
        if provider not in names:
            yield Error(
                f"{SETTING}: {where} points to {target!r}, which is not 'provider:model' of a configured provider.",
                hint=f"Configured providers: {', '.join(names)}.",
                id="django_wp_ai.E002",
            )
        elif not any(fnmatch.fnmatchcase(model, entry) for entry in providers()[provider].models):
            yield Error(
                f"{SETTING}: {where} points to {target!r}, but that provider does not serve the model.",
                hint="Add the model to the provider's 'models'.",
                id="django_wp_ai.E002",
            )


def _revocation() -> Iterable[CheckMessage]:
    if settings.credential_cache_s > MAX_CREDENTIAL_CACHE_S:
        yield Warning(
            f"{SETTING}['CREDENTIAL_CACHE_S'] lets a revoked credential pass for {settings.credential_cache_s} s.",
            hint="Keep it at 1 or below; a look-up costs one query a second for each credential in use.",
            id="django_wp_ai.W007",
        )


def _cache() -> Iterable[CheckMessage]:
    try:
        cache = caches[settings.cache_alias]
    except InvalidCacheBackendError:
        yield Error(
            f"{SETTING}['CACHE_ALIAS'] names {settings.cache_alias!r}, which CACHES does not have.",
            hint="Name one of the caches in CACHES.",
            id="django_wp_ai.E003",
        )
        return
    if not is_shared(cache):
        yield Warning(
            f"The cache {settings.cache_alias!r} is not shared between processes.",
            hint="Use Redis (django-redis). Until then nonces and limits are kept in the database: right, but slower.",
            id="django_wp_ai.W001",
        )


def _encryption() -> Iterable[CheckMessage]:
    if not settings.encryption_keys:
        yield Warning(
            f"{SETTING}['ENCRYPTION_KEYS'] is empty: stored secrets are encrypted with a key made from SECRET_KEY.",
            hint="Make one with cryptography.fernet.Fernet.generate_key(), so that SECRET_KEY can change without loss.",
            id="django_wp_ai.W002",
        )


def _database() -> Iterable[CheckMessage]:
    if settings.rag and connections[router.db_for_read(Chunk)].vendor != "postgresql":
        yield Warning(
            "Retrieval without PostgreSQL compares every chunk on every search.",
            hint=f"Use PostgreSQL with pgvector, or set {SETTING}['RAG'] to False.",
            id="django_wp_ai.W003",
        )


@register(Tags.database)
def check_pgvector(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """pgvector's version; asked only with ``migrate`` and ``check --database``, as Django asks databases then only."""
    alias = router.db_for_read(Chunk)
    if not settings.rag or alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    found = pgvector_version(connections[alias])
    if found is None or found >= WANTED_VERSION:
        return []  # the first migration makes the extension
    version, wanted = (".".join(map(str, each)) for each in (found, WANTED_VERSION))
    return [
        Warning(
            f"pgvector is {version}; versions before {wanted} have defects in parallel index builds and in vacuum.",
            hint="Update PostgreSQL's package of pgvector, then: ALTER EXTENSION vector UPDATE.",
            id="django_wp_ai.W014",
        )
    ]


def _embedding_model() -> Iterable[CheckMessage]:
    if not settings.rag:
        return
    try:
        wanted_model(Tenant())
    except ModelNotAllowed as error:
        if settings.embedding_model:
            yield Error(
                f"{SETTING}['EMBEDDING_MODEL']: {error.detail}",
                hint="Name 'provider:model' of a configured provider, such as 'openai:text-embedding-3-small'.",
                id="django_wp_ai.E006",
            )
        else:
            yield Warning(
                "No configured provider has a model that makes embeddings: documents can't be indexed.",
                hint=f"Name one in {SETTING}['EMBEDDING_MODEL'], or set {SETTING}['RAG'] to False.",
                id="django_wp_ai.W012",
            )


def _provider_keys() -> Iterable[CheckMessage]:
    for name, provider in providers().items():
        if provider.missing_key:
            yield Warning(
                f"The provider {name!r} has no 'api_key'; every call to it will fail.",
                hint="Give it a key (from the environment), or remove the provider.",
                id="django_wp_ai.W005",
            )


def _cors() -> Iterable[CheckMessage]:
    for name in ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL"):
        if getattr(django_settings, name, False):
            yield Warning(
                f"{name} lets every web page call the AI endpoints from a visitor's browser.",
                hint="Leave those paths out (CORS_URLS_REGEX): the app answers CORS itself, for each tenant's origins.",
                id="django_wp_ai.W006",
            )


def _docs_assets() -> Iterable[CheckMessage]:
    if not apps.is_installed("ninja"):
        yield Info(
            "The API's docs page loads its scripts from a CDN.",
            hint="Add 'ninja' to INSTALLED_APPS to serve them from this site.",
            id="django_wp_ai.I001",
        )


def _extraction() -> Iterable[CheckMessage]:
    if not settings.rag:
        return
    if missing := installed.missing_libraries():
        yield Warning(
            f"Documents are not read without these libraries: {', '.join(missing)}.",
            hint=f"pip install 'django-wp-ai[rag]', or set {SETTING}['RAG'] to False.",
            id="django_wp_ai.W013",
        )
    if not installed.can_recognise(settings.ocr_command):
        yield Info(
            "Scanned documents and pictures of text are not read.",
            hint="pip install 'django-wp-ai[ocr]', and install Tesseract with its languages (OCR_LANGUAGES).",
            id="django_wp_ai.I003",
        )
