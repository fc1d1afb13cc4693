from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("wp-ai/", include("django_wp_ai.urls")),
]
