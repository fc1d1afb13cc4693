"""The URLs a host includes: ``path("wp-ai/", include("django_wp_ai.urls"))``."""

from django_wp_ai.api.build import patterns

app_name = "django_wp_ai"
urlpatterns = patterns
