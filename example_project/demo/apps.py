"""The Django app of the demo: its page, its sample content and its launcher."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Has no models; starts nothing by itself."""

    name = "demo"
