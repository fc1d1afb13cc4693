"""A judgement on texts by the site's own rules: local ones, denied terms, or the provider's moderation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from django_wp_ai.gateway.moderation import moderate
from django_wp_ai.jobs.asking.fields import Text
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.schemas.base import Strict


class ModerationIn(Strict):
    """Give ``text`` or up to 100 ``texts``."""

    text: Text | None = None
    texts: Annotated[list[Text], Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def something_to_judge(self) -> Self:
        """One of both."""
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return self


class JudgementOut(Strict):
    """Of one text; ``scores`` from 0 to 1 are those of the local rules."""

    flagged: bool
    categories: list[str]
    scores: dict[str, float]


class ModerationOut(Strict):
    """Of all texts together and of each, in their order; ``source`` is ``local`` or a provider's name."""

    flagged: bool
    categories: list[str]
    results: list[JudgementOut]
    source: str


@job_kind("moderation", input=ModerationIn, output=ModerationOut, deadline_s=300)
async def moderation(context: JobContext, given: ModerationIn) -> ModerationOut:
    """Judge, and refuse nothing."""
    texts = given.texts if given.texts is not None else [given.text or ""]

    async def send() -> list[dict[str, Any]]:
        return [asdict(judged) for judged in await moderate(context.tenant, texts)]

    judged = await context.step("moderation", send)
    results = [
        JudgementOut(flagged=each["flagged"], categories=list(each["categories"]), scores=dict(each["scores"]))
        for each in judged
    ]
    return ModerationOut(
        flagged=any(each.flagged for each in results),
        categories=sorted({name for each in results for name in each.categories}),
        results=results,
        source=judged[0]["source"],
    )
