"""The site under test: the suite's project with the bare routes beside the app's own."""

from tests.settings import *  # noqa: F403 - a settings module takes all of its base

ROOT_URLCONF = "tests.benchmarks.urls"
