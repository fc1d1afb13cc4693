"""What a host project adds is one line: the ``include`` of ``django_wp_ai.urls``."""

from django.contrib import admin
from django.urls import include, path

from example import MOUNT

urlpatterns = [
    path("", include("demo.urls")),
    path("admin/", admin.site.urls),
    path(MOUNT, include("django_wp_ai.urls")),
]
