"""Settings of the launcher alone: it serves and stores nothing; its children use ``example.settings``."""

import secrets

SECRET_KEY = secrets.token_urlsafe(50)  # Django wants one; it signs nothing and ends with the process
INSTALLED_APPS = ["demo"]
USE_TZ = True
