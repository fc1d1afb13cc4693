"""The page at ``/``, the views that give it stream tokens and jobs, and the receiver of their callbacks."""

from django.urls import path

from demo import long_work, views

urlpatterns = [
    path("", views.home, name="home"),
    path("stream-token", views.stream_token, name="home-stream-token"),
    path("demo/jobs", long_work.hand_in, name="home-hand-in"),
    path("demo/callback", long_work.callback, name="home-callback"),
    path("demo/callback/<uuid:job_id>", long_work.arrived, name="home-callback-arrived"),
]
