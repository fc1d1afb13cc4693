"""Settings of the example project, secure by default and driven by the environment (see ``.env.example``).

Needed: ``SECRET_KEY``, ``ALLOWED_HOSTS``, ``DATABASE_URL``, ``REDIS_URL``, ``DJANGO_WP_AI_ENCRYPTION_KEYS``.
With these, ``manage.py check --deploy --fail-level WARNING`` passes. ``manage.py demo`` sets all of them itself.
"""

from __future__ import annotations

from pathlib import Path

from example import MOUNT, providers
from example.environment import database, flag, names, number, required, text

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = flag("DEBUG", default=False)
# Whether browsers reach the site by https. Off only where no certificate can be: localhost.
PUBLIC_HTTPS = flag("PUBLIC_HTTPS", default=not DEBUG)

SECRET_KEY = required(
    "SECRET_KEY", "Set it to 50 or more random characters, or run `manage.py demo`, which needs no configuration."
)
SECRET_KEY_FALLBACKS = names("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = names("ALLOWED_HOSTS") or (["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = names("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_q",
    "ninja",  # serves the scripts of the API's docs page, which else come from a CDN
    "django_wp_ai",
    "demo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "example.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example.urls"
ASGI_APPLICATION = "example.asgi.application"
WSGI_APPLICATION = "example.wsgi.application"
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

# asgi.py switches the pool on: an ASGI server is one process with many threads. Processes that fork (gunicorn,
# qcluster) must not share a pool's sockets, and keep one lasting connection a thread instead.
DATABASES = {
    "default": database(
        required("DATABASE_URL", "For example postgresql://user:password@localhost/name"),
        pool_size=number("DATABASE_POOL_SIZE", 0),
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A slow cache is worse than a dead one: it is given up on quickly.
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": required("REDIS_URL", "For example redis://localhost:6379/0"),
        "KEY_PREFIX": "example",
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5},
    }
}

# The database is the broker: nothing else is to be run, and a job begins within `poll` seconds. A task that runs longer
# than `timeout` is stopped, one that vanished with its worker runs again after `retry`, three times at most. Wake-ups
# count as tasks, and a recycled process drains its jobs first: so it is recycled seldom.
Q_CLUSTER = {
    "name": "example",
    "orm": "default",
    "workers": number("Q_WORKERS", 2),
    "poll": 0.5,
    "timeout": 300,
    "retry": 360,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 1000,
    "recycle": 100_000,
}

DJANGO_WP_AI = {
    "ENCRYPTION_KEYS": names("DJANGO_WP_AI_ENCRYPTION_KEYS"),
    "TRUSTED_PROXIES": names("TRUSTED_PROXIES"),
    "HEALTH_CIDRS": names("HEALTH_CIDRS"),
    "OUTBOUND_ALLOWED_NETWORKS": names("OUTBOUND_ALLOWED_NETWORKS"),
    **providers.from_environment(),
}
# The tenant that the page at / chats as. Empty: the page explains itself and chats with nobody, at nobody's cost.
HOME_PAGE_TENANT = text("HOME_PAGE_TENANT")

STATIC_URL = "static/"
# Set where `collectstatic` ran (the container image); empty: files are served from where they lie.
STATIC_ROOT = text("STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_ROOT
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

SECURE_SSL_REDIRECT = PUBLIC_HTTPS
SECURE_REDIRECT_EXEMPT = [f"^{MOUNT}health/"]  # asked by the container's own health check, inside the host
SECURE_HSTS_SECONDS = number("HSTS_SECONDS", 31_536_000) if PUBLIC_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PUBLIC_HTTPS
SECURE_HSTS_PRELOAD = PUBLIC_HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_HTTPS
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO")},
    # httpx logs every vendor URL at INFO.
    "loggers": {"httpx": {"level": "WARNING"}, "httpx2": {"level": "WARNING"}},
}
