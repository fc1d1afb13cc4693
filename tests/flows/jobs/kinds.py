"""Kinds of jobs that the tests create."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: int


class EchoIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(max_length=100_000)] = ""
    parts: list[Inner] = []
    any: Any = None


class EchoOut(BaseModel):
    text: str


def register() -> None:
    @job_kind("echo", input=EchoIn, output=EchoOut, deadline_s=30, max_attempts=3)
    async def echo(context: JobContext, given: EchoIn) -> EchoOut:
        return EchoOut(text=given.text)
