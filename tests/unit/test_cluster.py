"""The checks on ``Q_CLUSTER``: each fires on what it is for, says what to do, and is silent otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage

from django_wp_ai import cluster

RIGHT = {"orm": "default", "timeout": 60, "retry": 120, "max_attempts": 3}


def found() -> dict[str, CheckMessage]:
    return {str(message.id).removeprefix("django_wp_ai."): message for message in cluster.problems()}


@pytest.mark.parametrize(
    "options",
    [
        RIGHT,
        {**RIGHT, "max_attempts": 0, "ack_failures": True},
        {**RIGHT, "recycle": 10, "max_rss": 100_000, "workers": 1},
        {**RIGHT, "orm": None, "redis": "redis://127.0.0.1:1/0"},
        {**RIGHT, "orm": None, "redis": {"host": "127.0.0.1"}},
        {**RIGHT, "orm": None, "django_redis": "default"},
    ],
)
def test_a_right_cluster_is_not_remarked_on(settings: Any, options: dict[str, Any]) -> None:
    settings.Q_CLUSTER = options
    assert not found()


WRONG = {
    "W004": [{"timeout": None}, {"timeout": 60, "retry": 60}, {"timeout": 90}, {"timeout": 120, "retry": 110}],
    "W009": [{"max_attempts": 0}, {"max_attempts": 0, "ack_failures": False}],
    "W010": [{"scheduler": False}],
    "W011": [{"orm": None}, {"orm": None, "redis": {}}],
    "E004": [{"sync": True}],
    "E005": [{"orm": "nothing"}, {"orm": None, "django_redis": "nothing"}],
    "I002": [{"sqs": {"aws_region": "eu-west-1"}}, {"broker_class": "x.Y"}, {"iron_mq": {"token": "t"}}],
}


@pytest.mark.parametrize(("id_", "options"), [(id_, options) for id_, cases in WRONG.items() for options in cases])
def test_a_setting_under_which_work_is_repeated_dropped_or_not_begun_is_found(
    settings: Any, id_: str, options: dict[str, Any]
) -> None:
    settings.Q_CLUSTER = {**{k: v for k, v in RIGHT.items() if k != "retry"}, "retry": 70, **options}
    messages = found()
    assert set(messages) == {id_}
    assert messages[id_].hint


def test_a_project_without_the_setting_is_told_of_each_default_that_bites(settings: Any) -> None:
    del settings.Q_CLUSTER
    assert set(found()) == {"W004", "W009", "W011"}


def test_a_project_without_django_q_is_told_that_nothing_runs_jobs(settings: Any) -> None:
    settings.Q_CLUSTER = {}
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django_q"]
    assert set(found()) == {"W008"}


@pytest.mark.parametrize(
    ("options", "broker"),
    [
        ({"orm": "default", "redis": {"host": "x"}}, "orm"),
        ({"orm": "default", "sqs": {"aws_region": "x"}}, "sqs"),
        ({"orm": "default", "broker_class": "x.Y"}, "broker_class"),
        ({}, ""),
    ],
)
def test_the_broker_is_the_one_that_django_q2_takes(settings: Any, options: dict[str, Any], broker: str) -> None:
    settings.Q_CLUSTER = options
    assert cluster.broker() == broker
