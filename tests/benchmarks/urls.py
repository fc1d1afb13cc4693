from django.urls import include, path

from tests.benchmarks import bare

urlpatterns = [path("bare/chat", bare.chat), path("wp-ai/", include("django_wp_ai.urls"))]
