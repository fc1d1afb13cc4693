"""The suite's ASGI application, started as the example project starts its own."""

import gc
from importlib import import_module

from django.conf import settings

from tests.asgi import application

__all__ = ["application"]

import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
