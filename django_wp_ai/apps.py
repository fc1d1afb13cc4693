"""The Django app."""

from importlib import import_module
from pkgutil import iter_modules

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


def import_submodules(package: str) -> None:
    """Import each module of a package, which registers what is in it."""
    for module in iter_modules(import_module(package).__path__, prefix=f"{package}."):
        import_module(module.name)


class DjangoWpAiConfig(AppConfig):
    """Registers models, admin and startup checks; starts nothing and calls nobody."""

    name = "django_wp_ai"
    label = "django_wp_ai"
    verbose_name = _("WordPress AI")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the startup checks, the tools and jobs of installed apps, and what follows a migration."""
        from django_wp_ai import checks, tasks  # noqa: F401 - registration happens on import
        from django_wp_ai.rag.index.migrating import ensure_indexes
        from django_wp_ai.schedules import ensure_schedules

        import_submodules("django_wp_ai.jobs.kinds")
        import_submodules("django_wp_ai.rag.kinds")
        autodiscover_modules("wp_ai_tools", "wp_ai_jobs")
        self._connect_workers()
        post_migrate.connect(ensure_schedules, sender=self, dispatch_uid="django_wp_ai.schedules")
        post_migrate.connect(ensure_indexes, sender=self, dispatch_uid="django_wp_ai.indexes")

    def _connect_workers(self) -> None:
        if not apps.is_installed("django_q"):
            return
        from django_q.signals import post_spawn

        from django_wp_ai import wakeups, workers
        from django_wp_ai.gateway.inbound import events_waiting
        from django_wp_ai.jobs.waking import jobs_waiting

        jobs_waiting.connect(wakeups.ask, dispatch_uid="django_wp_ai.wakeups")
        events_waiting.connect(wakeups.ask_for_events, dispatch_uid="django_wp_ai.wakeups")
        post_spawn.connect(workers.begin, dispatch_uid="django_wp_ai.workers")
