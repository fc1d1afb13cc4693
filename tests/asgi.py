"""The suite's project for an ASGI server: with the app's short way in, and as Django makes it."""

from django.core.asgi import get_asgi_application

from django_wp_ai.asgi import gateway

plain = get_asgi_application()
application = gateway(plain)
