"""The ASGI application: streams token by token, one process carries hundreds of open streams."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

from django_wp_ai.asgi import gateway

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "20")

application = gateway(get_asgi_application())

# What is loaded by now stays for good: the garbage collector need not look through it again and again.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
