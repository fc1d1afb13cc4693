"""A summary of a text of any length. A long one is summed up part by part, then the parts together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from django_wp_ai.bridge import in_thread
from django_wp_ai.jobs.asking import parts
from django_wp_ai.jobs.asking.fields import TextTask, language_name
from django_wp_ai.jobs.asking.prompts import Task, request
from django_wp_ai.jobs.asking.structured import whole_answer
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.providers.words import words
from django_wp_ai.schemas.base import Strict

MAX_ROUNDS = 6  # of summing up summaries: each makes a text at least three times shorter
MAX_PARTS = 200
PART_WORDS = 200
BYTES_A_WORD = 7


class SummaryIn(TextTask):
    """A text and how its summary is to look."""

    length_words: Annotated[int, Field(ge=20, le=2000, description="About so many words, and no more.")] = 120
    format: Literal["paragraph", "bullets"] = "paragraph"


class SummaryOut(Strict):
    """The summary; ``language`` is the one that was asked for, empty for the text's own."""

    summary: str
    words: int
    language: str


@job_kind("summary", input=SummaryIn, output=SummaryOut, deadline_s=1800)
async def summary(context: JobContext, given: SummaryIn) -> SummaryOut:
    """Sum up; every part is a step, so that what is done is not asked again."""
    text = given.plain
    most = parts.bound(context.tenant)
    for turn in range(1, MAX_ROUNDS + 1):
        pieces = await in_thread(parts.cut, text, most=most)
        if len(pieces) == 1:
            break
        if len(pieces) > MAX_PARTS:
            raise JobFailed(f"The text has more than {MAX_PARTS} parts of {most} bytes.", code="too_large")
        text = await _shorter(context, given, pieces, turn=turn, most=most // 3)
    found = await _said(context, "summary", _whole(given, text))
    return SummaryOut(summary=found, words=len(words(found)), language=given.language)


async def _shorter(context: JobContext, given: SummaryIn, pieces: list[str], *, turn: int, most: int) -> str:
    """The summaries of the parts behind each other, none longer than ``most`` bytes whatever the model says."""
    said: list[str] = []
    length = min(PART_WORDS, most // BYTES_A_WORD)
    for number, piece in enumerate(pieces, 1):
        task = _part(given, piece, length, f"part {number} of {len(pieces)}")
        said.append(parts.cut(await _said(context, f"part.{turn}.{number}", task), most=most)[0])
        if turn == 1:
            await context.progress(80 * number // len(pieces))
    return "\n\n".join(said)


async def _said(context: JobContext, step: str, task: Task) -> str:
    answer = await whole_answer(context, step, await request(context.tenant, task))
    return answer.text.replace("\x00", "").strip()


def _whole(given: SummaryIn, text: str) -> Task:
    shape = "a list of points, each on a line that begins with “- ”" if given.format == "bullets" else "one paragraph"
    instruction = (
        f"Summarise the text in at most {given.length_words} words, as {shape}. {_language(given)} "
        "Say only what the text says. Answer with the summary alone, without a heading or an introduction."
    )
    offers = given.offers() | {"length_words": given.length_words, "format": given.format}
    return Task(given=given, text=text, instruction=instruction, offers=offers)


def _part(given: SummaryIn, text: str, length: int, name: str) -> Task:
    """Parts are summed up in our words also where the site has its own: those are for the summary that it sees."""
    instruction = (
        f"Summarise {name} of a text in at most {length} words. {_language(given)} "
        "Keep names, numbers and what is decided. Say only what the text says. Answer with the summary alone."
    )
    own = given.model_copy(update={"prompt_template": "", "variables": {}})
    return Task(given=own, text=text, instruction=instruction)


def _language(given: SummaryIn) -> str:
    return f"Write in {language_name(given.language)}." if given.language else "Write in the language of the text."
