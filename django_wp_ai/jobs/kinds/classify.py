"""Which of a site's labels fit a text."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from django_wp_ai.jobs.asking import json_answer
from django_wp_ai.jobs.asking.fields import TextTask
from django_wp_ai.jobs.asking.prompts import Task
from django_wp_ai.jobs.asking.structured import Structured, ask_for_json
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.schemas.base import Strict


def _one_line(text: str) -> str:
    if text != " ".join(text.split()) or "\x00" in text:
        raise ValueError("write it on one line, without blanks at its ends")
    return text


class LabelIn(Strict):
    """A label and what belongs to it."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)]
    description: Annotated[str, Field(max_length=500), AfterValidator(_one_line)] = ""


def _label(given: Any) -> Any:
    return {"name": given} if isinstance(given, str) else given


class ClassifyIn(TextTask):
    """A text and the labels to choose from: names, or names with descriptions."""

    labels: Annotated[list[Annotated[LabelIn, BeforeValidator(_label)]], Field(min_length=2, max_length=100)]
    multi: Annotated[bool, Field(description="Every label that fits, or none, instead of the one that fits best.")] = (
        False
    )

    @model_validator(mode="after")
    def labels_differ(self) -> Self:
        """Names that only differ in capitals would be one for a reader."""
        if len({label.name.casefold() for label in self.labels}) < len(self.labels):
            raise ValueError("a label stands there twice")
        return self


class ChosenLabel(Strict):
    """``confidence`` is the model's own guess from 0 to 1; null where it makes none."""

    label: str
    confidence: float | None = None


class ClassifyOut(Strict):
    """Labels that fit, the best first; ``label`` is the first one, null where none fits."""

    labels: list[ChosenLabel]
    label: str | None


@job_kind("classify", input=ClassifyIn, output=ClassifyOut)
async def classify(context: JobContext, given: ClassifyIn) -> ClassifyOut:
    """Choose among the given labels; no other one is ever returned."""
    names = [label.name for label in given.labels]
    listed = "\n".join(f"- {label.name}: {label.description}".removesuffix(": ") for label in given.labels)
    wanted = "every label that fits the text, or none" if given.multi else "the one label that fits the text best"
    task = Task(
        given=given,
        text=given.plain,
        instruction=f"Choose {wanted}.",
        rules=f"The labels are:\n{listed}\n\nTake no other. A confidence is from 0 to 1, or null.",
        offers={**given.offers(), "labels": listed},
    )
    shape = Structured(_schema(names, multi=given.multi), "labels", partial(_read, names))
    chosen = [ChosenLabel(**each) for each in (await ask_for_json(context, "classify", task, shape))["labels"]]
    chosen.sort(key=lambda each: -(each.confidence or 0.0))
    unique = [each for at, each in enumerate(chosen) if each.label not in {other.label for other in chosen[:at]}]
    return ClassifyOut(labels=unique, label=unique[0].label if unique else None)


def _schema(names: list[str], *, multi: bool) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": names},
            "confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        },
        "required": ["label", "confidence"],
        "additionalProperties": False,
    }
    size = {"minItems": 0, "maxItems": len(names)} if multi else {"minItems": 1, "maxItems": 1}
    labels = {"type": "array", "items": item, **size}
    return {"type": "object", "properties": {"labels": labels}, "required": ["labels"], "additionalProperties": False}


def _read(names: list[str], text: str) -> Any:
    """The answer with labels as the site spells them; a bare label counts as the answer that it is."""
    known = {name.casefold(): name for name in names}
    if bare := known.get(text.strip().strip("\"'`.").casefold()):
        return {"labels": [{"label": bare, "confidence": None}]}
    value = json_answer.parse(text)
    said = value.get("labels") if isinstance(value, dict) else value
    if isinstance(value, dict) and "label" in value and said is None:
        said = [value]
    if not isinstance(said, list):
        return value
    return {"labels": [_spelt(known, each) for each in said]}


def _spelt(known: dict[str, str], said: Any) -> Any:
    if isinstance(said, str):
        said = {"label": said}
    if not isinstance(said, dict) or not isinstance(said.get("label"), str):
        return said
    name = said["label"].strip()
    return {"confidence": None} | said | {"label": known.get(name.casefold(), name)}
