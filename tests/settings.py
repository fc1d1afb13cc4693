"""Settings of the test suite: a host project with nothing but what the app needs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from uuid import uuid4

from tests.services import database, postgres_url, redis_url

SECRET_KEY = "only-for-tests-only-for-tests-only-for-tests-0"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_q",
    "django_wp_ai",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
if "TEST_DATABASE" in os.environ:  # a server that a test started: its database is that test's
    DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
else:
    DATABASES = {"default": database(os.environ.get("TEST_DATABASE_URL") or postgres_url())}
    name = f"test_wpai_{os.getpid()}_{uuid4().hex[:6]}"
    if "sqlite" in DATABASES["default"]["ENGINE"]:
        name = str(Path(tempfile.gettempdir()) / f"{name}.sqlite3")
        DATABASES["default"]["OPTIONS"] = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
    DATABASES["default"]["TEST"] = {"NAME": name}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url()}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}  # for Django 6.1 and later
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
Q_CLUSTER = {"name": "tests", "orm": "default", "timeout": 60, "retry": 120, "max_attempts": 1}
DJANGO_WP_AI = {
    "ENCRYPTION_KEYS": ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],
    "CREDENTIAL_CACHE_S": 0.0,
    "CACHE_TIMEOUT_S": 5.0,  # a busy machine that runs tests is no dead cache
    "OUTBOUND_ALLOWED_NETWORKS": ["127.0.0.0/8", "::1/128"],  # where the suite's own servers listen
    **json.loads(os.environ.get("TEST_WP_AI", "{}")),
}
