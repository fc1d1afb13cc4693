"""The page at ``/`` and the view that gives it stream tokens."""

from django.urls import path

from demo import views

urlpatterns = [
    path("", views.home, name="home"),
    path("stream-token", views.stream_token, name="home-stream-token"),
]
