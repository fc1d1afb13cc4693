"""The ASGI application: streams token by token, one process carries hundreds of open streams."""

import os

from django.core.asgi import get_asgi_application

from django_wp_ai.asgi import gateway

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "20")

application = gateway(get_asgi_application())
