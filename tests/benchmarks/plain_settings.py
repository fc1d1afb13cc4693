"""A project with django-q2 and nothing else: what plain tasks run in."""

import json
import os

SECRET_KEY = "only-for-benchmarks-only-for-benchmarks-only-for-1"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_q"]
DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["REDIS_URL"]}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
Q_CLUSTER = {
    "name": "plain",
    "redis": os.environ["REDIS_URL"],
    "workers": int(os.environ.get("PLAIN_WORKERS", "2")),
    "timeout": 60,
    "retry": 120,
    "max_attempts": 1,
    "save_limit": -1,
    "scheduler": False,  # the database also holds the schedules of the app's own cluster
}
