"""Kinds that take several paid steps, so that a worker can die between any two of them."""

from __future__ import annotations

from pydantic import BaseModel

from django_wp_ai.datatypes import ChatRequest, Message, TextPart
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind

STEPS = ("first", "second", "third")
SINGLE = "single"


class Errand(BaseModel):
    """What is asked at each step; the step's name is added to it."""

    text: str


class Answers(BaseModel):
    """One answer a step."""

    texts: list[str]


@job_kind("errand", input=Errand, output=Answers, max_attempts=1000)
async def errand(context: JobContext, given: Errand) -> Answers:
    """Ask three times, one after the other."""
    texts = []
    for step in STEPS:
        answer = await context.chat(step, question(f"{given.text} {step}"))
        texts.append(answer.text)
    return Answers(texts=texts)


@job_kind(SINGLE, input=Errand, output=Answers)
async def single(context: JobContext, given: Errand) -> Answers:
    """Ask once."""
    answer = await context.chat("only", question(given.text))
    return Answers(texts=[answer.text])


def question(text: str) -> ChatRequest:
    """A call with one user message."""
    return ChatRequest(messages=(Message("user", (TextPart(text),)),), max_tokens=64)
