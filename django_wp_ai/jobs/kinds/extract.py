"""Data of a text, in the shape that a JSON schema describes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from django_wp_ai.jobs.asking import json_schema
from django_wp_ai.jobs.asking.fields import TextTask, language_name
from django_wp_ai.jobs.asking.prompts import Task
from django_wp_ai.jobs.asking.structured import Structured, ask_for_json
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.schemas.base import Strict


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    json_schema.check(schema)
    return schema


class ExtractIn(TextTask):
    """A text, and a JSON schema of the object that is wanted."""

    schema_: Annotated[
        dict[str, Any], AfterValidator(_checked), Field(alias="schema", description="Draft 2020-12, a subset.")
    ]
    instructions: Annotated[str, Field(max_length=4000, description="What else to heed.")] = ""


class ExtractOut(Strict):
    """``data`` fits the schema."""

    data: dict[str, Any]


@job_kind("extract", input=ExtractIn, output=ExtractOut)
async def extract(context: JobContext, given: ExtractIn) -> ExtractOut:
    """Take the data from the text; what does not fit the schema is told to the model once, then the job has failed."""
    spoken = f"Write texts in {language_name(given.language)}." if given.language else ""
    instruction = (
        "Take from the text the data that the schema describes, and only what the text says. Where it says nothing, "
        "leave out what is not required, and use null where the schema allows it."
    )
    task = Task(
        given=given,
        text=given.plain,
        instruction=instruction,
        rules="\n\n".join(filter(None, (given.instructions, spoken))),
        offers=given.offers() | {"instructions": given.instructions},
    )
    return ExtractOut(data=await ask_for_json(context, "extract", task, Structured(given.schema_, "data")))
