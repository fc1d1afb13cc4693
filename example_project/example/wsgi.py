"""The WSGI application, for hosts without ASGI: an open stream holds a thread (``gunicorn --threads``)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")

application = get_wsgi_application()
