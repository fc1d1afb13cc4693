"""Prompt templates: named, versioned texts that a site's calls fill in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Length
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models import placeholders
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

_TAG = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
MAX_TAG_CHARS = 35  # RFC 5646, section 4.4.1


def language_tag(text: str) -> str:
    """A language as stored and compared (``pt_br`` is ``pt-BR``); raises ValueError for what is none."""
    tag = text.replace("_", "-")
    if tag and (len(tag) > MAX_TAG_CHARS or not _TAG.fullmatch(tag)):
        raise ValueError("not a language tag")
    first, *rest = tag.lower().split("-")
    return "-".join([first, *(_subtag(part) for part in rest)])


def _subtag(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()  # a script
    return part.upper() if len(part) == 2 else part


class PromptTemplateQuerySet(TenantOwnedQuerySet["PromptTemplate"]):
    """Sets of template versions."""

    def best_for(
        self, tenant: Tenant, *, name: str, languages: Sequence[str], version: int | None = None
    ) -> PromptTemplate | None:
        """The one to use: the tenant's own before a shared one, the longest fitting language, the highest version.

        ``languages`` are a tag and its shorter forms down to ``""``. A version that is named comes back whether it is
        active or not; otherwise only active ones are looked at.
        """
        rows = self.filter(models.Q(tenant=tenant) | models.Q(tenant=None), name=name, language__in=languages)
        rows = rows.filter(is_active=True) if version is None else rows.filter(version=version)
        own_first = models.F("tenant_id").asc(nulls_last=True)
        return rows.order_by(own_first, Length("language").desc(), "-version").first()

    def same_text(self, template: PromptTemplate) -> Self:
        """All versions of one template in its language."""
        return self.filter(tenant_id=template.tenant_id, name=template.name, language=template.language)

    def update(self, **fields: Any) -> int:
        """As Django's, but what a version says never changes."""
        _refuse_change(sorted(set(fields) & PromptTemplate.FROZEN))
        return super().update(**fields)


class PromptTemplate(models.Model):
    """One version of a template in one language. Without a tenant it is every tenant's; a version never changes."""

    #: All but ``is_active``: the ledger and the keys of cached answers name a version and rely on what it says.
    FROZEN: ClassVar = frozenset({"tenant", "tenant_id", "name", "version", "language", "system", "prompt", "model"})

    tenant = models.ForeignKey(
        Tenant,
        verbose_name=_("tenant"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("Empty: every tenant may use it, unless it has its own of that name."),
    )
    name = models.CharField(
        _("name"), max_length=64, validators=[RegexValidator(r"\A[a-z][a-z0-9_-]*\Z", _("Lower-case letters first."))]
    )
    version = models.PositiveIntegerField(_("version"), default=1, validators=[MinValueValidator(1)])
    language = models.CharField(
        _("language"), max_length=16, blank=True, help_text=_("A tag such as de or pt-BR; empty serves all others.")
    )
    system = models.TextField(_("system prompt"), blank=True)
    prompt = models.TextField(_("prompt"), help_text=_("Variables are written {name}; {{ and }} are braces."))
    model = models.CharField(
        _("model"), max_length=128, blank=True, help_text=_("For calls that name none: a model or an alias.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = PromptTemplateQuerySet.as_manager()

    class Meta:
        verbose_name = _("prompt template")
        verbose_name_plural = _("prompt templates")
        ordering: ClassVar = ["name", "-version", "language"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "name", "version", "language"], name="wpai_prompt_version"),
            models.UniqueConstraint(
                fields=["name", "version", "language"],
                condition=models.Q(tenant=None),
                name="wpai_prompt_shared_version",
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="wpai_prompt_version_counts_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}{f' ({self.language})' if self.language else ''}"

    @property
    def reference(self) -> str:
        """How calls and the ledger name this version."""
        return f"{self.name}@{self.version}"

    @property
    def variables(self) -> list[str]:
        """The names of its variables, in the order in which they first stand there."""
        return list(dict.fromkeys(placeholders.names(self.system) + placeholders.names(self.prompt)))

    def clean(self) -> None:
        """Put the language into its usual form; refuse broken placeholders and another text for a saved version."""
        problems: dict[str, Any] = {}
        try:
            self.language = language_tag(self.language)
        except ValueError:
            problems["language"] = ValidationError(_("Give a language tag such as de or pt-BR."), code="language")
        for field in ("system", "prompt"):
            try:
                placeholders.names(getattr(self, field))
            except placeholders.BrokenPlaceholder as broken:
                problems[field] = ValidationError(
                    _("Line %(line)s, column %(column)s: write a variable as {name}, a brace as {{ or }}."),
                    params={"line": broken.line, "column": broken.column},
                    code="placeholder",
                )
        if problems:
            raise ValidationError(problems)
        _refuse_change(self._changed())

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new version, or whether a stored one is active; raises ValidationError for anything else."""
        self.full_clean(validate_unique=False, validate_constraints=False)  # the database holds these
        super().save(*args, **kwargs)

    def next_version(self) -> int:
        """The number after the highest version of this template in its language."""
        highest = type(self).objects.same_text(self).aggregate(highest=models.Max("version"))["highest"]
        return (highest or 0) + 1

    def _changed(self) -> list[str]:
        names = sorted(self.FROZEN - {"tenant"})
        stored = type(self).objects.filter(pk=self.pk).values(*names).first() if self.pk else None
        return [name for name in names if stored and stored[name] != getattr(self, name)]


def _refuse_change(changed: list[str]) -> None:
    if changed:
        raise ValidationError(
            _("A version does not change; make a new one. Changed: %(fields)s."),
            params={"fields": ", ".join(name.removesuffix("_id") for name in changed)},
            code="frozen",
        )
