"""What the kinds that read a site's text take in common."""

from __future__ import annotations

from typing import Annotated, Any, Self

from django.conf.locale import LANG_INFO
from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from django_wp_ai.datatypes import Variable
from django_wp_ai.jobs.asking.html_text import to_text
from django_wp_ai.models.prompt import language_tag
from django_wp_ai.schemas.base import ModelName, Strict

MAX_TEXT_CHARS = 1_000_000


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text has a NUL character")
    return text


def _tag(text: str) -> str:
    try:
        return language_tag(text)
    except ValueError:
        raise ValueError("write a language tag such as de or pt-BR") from None


Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(_without_nul)]
Language = Annotated[str, Field(max_length=35), AfterValidator(_tag)]


class TextTask(Strict):
    """Give ``text`` or ``html``; everything else has a default."""

    text: Text | None = None
    html: Annotated[Text, Field(description="Read as its text; scripts and styles are left out.")] | None = None
    title: Annotated[str, Field(max_length=1000), AfterValidator(_without_nul)] = ""
    language: Annotated[Language, Field(description="Of the answer: a tag such as de or pt-BR.")] = ""
    model: Annotated[ModelName, Field(description="A model, an alias or provider:model.")] = ""
    provider: Annotated[str, Field(max_length=64)] = ""
    prompt_template: Annotated[
        str, Field(max_length=80, description="name or name@version of the site's own words instead of ours.")
    ] = ""
    variables: Annotated[
        dict[Annotated[str, Field(max_length=64)], Variable],
        Field(max_length=64, description="What else the template names."),
    ] = {}

    _plain: str = PrivateAttr("")

    @model_validator(mode="after")
    def something_to_read(self) -> Self:
        """Both would be ambiguous, none or only markup would be empty."""
        if (self.text is None) == (self.html is None):
            raise ValueError("give either text or html")
        self._plain = self.text if self.text is not None else to_text(self.html or "")
        if not self._plain.strip():
            raise ValueError("the text is empty")
        if self.variables and not self.prompt_template:
            raise ValueError("variables go with a prompt_template")
        if "text" in self.variables:
            raise ValueError("the variable text is the text itself")
        return self

    @property
    def plain(self) -> str:
        """What is to be read, without markup."""
        return self._plain

    def offers(self) -> dict[str, Any]:
        """What a prompt template may name beside ``text``."""
        return {"title": self.title, "language": self.language}


def language_name(tag: str) -> str:
    """A language as a prompt names it: ``German (de)``."""
    known = LANG_INFO.get(tag.lower()) or LANG_INFO.get(tag.partition("-")[0].lower()) or {}
    name = known.get("name")
    return f"{name} ({tag})" if name else tag
