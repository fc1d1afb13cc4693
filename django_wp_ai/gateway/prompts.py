"""Prompt templates: from a reference and variables to the text that is sent."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Variable
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.models import PromptTemplate, Tenant, placeholders
from django_wp_ai.models.prompt import language_tag

MAX_VARIABLES = 64
_REFERENCE = re.compile(r"([a-z][a-z0-9_-]{0,63})(?:@([1-9][0-9]{0,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A template with its variables put in; ``reference`` names the version that was used: ``summary@3``."""

    system: str
    prompt: str
    model: str
    reference: str
    language: str = ""


def expand(tenant: Tenant, *, reference: str, variables: Mapping[str, Variable], language: str = "") -> Expanded:
    """Fill in the tenant's template ``name`` (its highest active version) or ``name@version``; one query.

    The tenant's own come before shared ones, then ``pt-BR`` before ``pt`` before the template without a language.
    Raises NotFound for a template that is absent or not active, Invalid with the fields for variables that don't fit.
    """
    template = _find(tenant, reference, language)
    try:
        counts = Counter(placeholders.names(template.system) + placeholders.names(template.prompt))
    except placeholders.BrokenPlaceholder as broken:  # stored by other ways than save()
        raise _invalid("prompt_template", f"The template {template.reference} is broken: {broken}.") from None
    values = _texts(counts, variables)
    _require_size(template, counts, values)
    return Expanded(
        placeholders.fill(template.system, values),
        placeholders.fill(template.prompt, values),
        template.model,
        template.reference,
        template.language,
    )


def variables_of(tenant: Tenant, *, reference: str, language: str = "") -> tuple[str, frozenset[str]]:
    """The version that ``expand`` would take now, and the variables it needs; one query. Raises NotFound, Invalid."""
    template = _find(tenant, reference, language)
    try:
        return template.reference, frozenset(template.variables)
    except placeholders.BrokenPlaceholder as broken:
        raise _invalid("prompt_template", f"The template {template.reference} is broken: {broken}.") from None


def _find(tenant: Tenant, reference: str, language: str) -> PromptTemplate:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise _invalid("prompt_template", "Write name or name@version, for example summary@3.")
    version = int(match[2]) if match[2] else None
    template = PromptTemplate.objects.best_for(
        tenant, name=match[1], languages=list(_fallbacks(language)), version=version
    )
    if template is None:
        raise NotFound(f"This site has no active prompt template {match[0]}{_in_language(language)}.")
    if not template.is_active:
        raise NotFound(f"The prompt template {match[0]} is not active.")
    return template


def _fallbacks(language: str) -> Iterator[str]:
    """A tag, its shorter forms, and the empty one: ``pt-BR``, ``pt``, ``""``."""
    try:
        tag = language_tag(language)
    except ValueError:
        raise _invalid("language", "Write a language tag such as de or pt-BR.") from None
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
    yield ""


def _in_language(language: str) -> str:
    return f" in {language_tag(language)} or without a language" if language else ""


def _texts(counts: Counter[str], variables: Mapping[str, Variable]) -> dict[str, str]:
    """The variables as text; raises Invalid with every one that is missing, unknown or no plain value."""
    problems = {name: "The template needs this variable." for name in counts if name not in variables}
    texts: dict[str, str] = {}
    for name, value in variables.items():
        if name not in counts:
            problems[str(name)[:64]] = "The template has no such variable."
            continue
        text = _text(value)
        if text is None:
            problems[name] = "A variable is a text, a number, true or false."
        elif len(text) > settings.max_body_bytes:
            problems[name] = f"At most {settings.max_body_bytes} characters."
        else:
            texts[name] = text
    if problems:
        errors = [
            {"field": f"variables.{name}", "message": text} for name, text in list(problems.items())[:MAX_VARIABLES]
        ]
        raise Invalid("The variables don't fit the template.", errors=errors, param="variables")
    return texts


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= 1024:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    return None


def _require_size(template: PromptTemplate, counts: Counter[str], values: Mapping[str, str]) -> None:
    """Refuse before the text is built: a long value that stands in a template often would grow without bound."""
    size = (
        len(template.system) + len(template.prompt) + sum(len(values[name]) * number for name, number in counts.items())
    )
    if size > settings.max_body_bytes:
        raise _invalid("variables", f"The filled-in template has more than {settings.max_body_bytes} characters.")


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}], param=field)
