"""The page at ``/``, its stream tokens, jobs and receiver of callbacks, and the pages of the sample site."""

from django.urls import path

from demo import long_work, views

urlpatterns = [
    path("", views.home, name="home"),
    path("crumb-and-kettle/<slug:slug>/", views.article, name="home-article"),
    path("stream-token", views.stream_token, name="home-stream-token"),
    path("demo/jobs", long_work.hand_in, name="home-hand-in"),
    path("demo/callback", long_work.callback, name="home-callback"),
    path("demo/callback/<uuid:job_id>", long_work.arrived, name="home-callback-arrived"),
]
