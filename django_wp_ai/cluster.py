"""What the host's ``Q_CLUSTER`` says of django-q2's broker, as far as jobs depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 - Django's own name

#: In the order in which django-q2 takes them.
BROKERS = ("broker_class", "iron_mq", "sqs", "orm", "mongo", "django_redis", "redis")
TESTED = frozenset({"orm", "django_redis", "redis"})


def options() -> Mapping[str, Any]:
    """The host's dict."""
    found: Mapping[str, Any] = getattr(django_settings, "Q_CLUSTER", {})
    return found


def broker() -> str:
    """The option that chooses the broker; empty when none does, and django-q2 tries Redis on this machine."""
    return next((name for name in BROKERS if options().get(name)), "")


def problems() -> Iterable[CheckMessage]:
    """Settings under which work would be repeated, dropped, or never begun."""
    if not apps.is_installed("django_q"):
        yield Warning(
            "'django_q' is not in INSTALLED_APPS: jobs, callbacks and schedules have nobody to run them.",
            hint="Add it and run `manage.py qcluster`, or silence this check where another project does that.",
            id="django_wp_ai.W008",
        )
        return
    yield from _repeating()
    yield from _dropping()
    yield from _broker()


def _repeating() -> Iterable[CheckMessage]:
    cluster = options()
    timeout, retry = cluster.get("timeout"), cluster.get("retry", 60)
    if not timeout or retry <= timeout:
        yield Warning(
            f"Q_CLUSTER has timeout={timeout} and retry={retry}: a task that is still running would be started again.",
            hint="Set a timeout, and retry to more than it.",
            id="django_wp_ai.W004",
        )
    if not cluster.get("max_attempts") and not cluster.get("ack_failures"):
        yield Warning(
            "Q_CLUSTER has neither 'max_attempts' nor 'ack_failures': a task that fails is started again for ever.",
            hint="Set 'max_attempts' (3, say), or 'ack_failures' to True.",
            id="django_wp_ai.W009",
        )


def _dropping() -> Iterable[CheckMessage]:
    cluster = options()
    if cluster.get("sync"):
        yield Error(
            "Q_CLUSTER has 'sync': tasks run in the process that asks for them, where no worker runs jobs.",
            hint="Leave it out. A test runs the jobs' loop itself.",
            id="django_wp_ai.E004",
        )
    if not cluster.get("scheduler", True):
        yield Warning(
            "Q_CLUSTER has 'scheduler' off: nothing is swept, purged or alerted of.",
            hint="Leave it on in one cluster at least, or call the functions in django_wp_ai.tasks by other means.",
            id="django_wp_ai.W010",
        )


def _broker() -> Iterable[CheckMessage]:
    name, cluster = broker(), options()
    if not name:
        yield Warning(
            "Q_CLUSTER names no broker, so django-q2 looks for Redis on this machine.",
            hint="Set 'orm' to a database alias (nothing else is needed), or 'redis' to a URL.",
            id="django_wp_ai.W011",
        )
    elif name not in TESTED:
        yield Info(
            f"This app is not tested with django-q2's broker {name!r}.",
            hint="'orm' and 'redis' are. With another one, too, a job is a row: a lost message costs JOB_POLL_S.",
            id="django_wp_ai.I002",
        )
    for option, aliases in (("orm", "DATABASES"), ("django_redis", "CACHES")):
        if name == option and cluster[option] not in getattr(django_settings, aliases):
            yield Error(
                f"Q_CLUSTER[{option!r}] names {cluster[option]!r}, which {aliases} does not have.",
                hint=f"Name one of {aliases}.",
                id="django_wp_ai.E005",
            )
