"""What an operator sets for a site, by topic: rates, money, models, answers, content. Mixed into ``Tenant``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: What ``Tenant.routes`` may set for one route; all are whole numbers above 0.
ROUTE_LIMITS = ("rpm", "rpd", "tpm", "max_tokens", "max_input_tokens")
#: The routes that are metered, as the ledger names them.
ROUTES = (
    "chat",
    "chat/stream",
    "chat/completions",
    "messages",
    "embeddings",
    "infer",
    "jobs",
    "search",
    "ask",
    "related",
)


def validate_names(value: Any) -> None:
    """A list of non-empty strings."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
        raise ValidationError(_("Give a list of names."), code="names")


def validate_routes(value: Any) -> None:
    """``{"chat": {"rpm": 10, "max_tokens": 500}}``; nothing unknown."""
    if not isinstance(value, dict):
        raise ValidationError(_("Give an object of routes."), code="routes")
    for route, limits in value.items():
        if route not in ROUTES:
            raise ValidationError(_("%(route)s is no route; known: %(known)s."), params=_known(route, ROUTES))
        if not isinstance(limits, dict):
            raise ValidationError(_("Each route has an object of limits."), code="routes")
        for name, number in limits.items():
            if name not in ROUTE_LIMITS:
                raise ValidationError(_("%(route)s is no limit; known: %(known)s."), params=_known(name, ROUTE_LIMITS))
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValidationError(_("A route's limit is a whole number, 1 at least."), code="routes")


def _known(given: object, known: tuple[str, ...]) -> dict[str, str]:
    return {"route": str(given)[:64], "known": ", ".join(known)}


def validate_aliases(value: Any) -> None:
    """``{"smart": "openai:gpt-4o"}`` or a list of candidates, each a string or ``{"target", "weight"}``."""
    if not isinstance(value, dict) or not all(isinstance(name, str) and 0 < len(name) <= 128 for name in value):
        raise ValidationError(_("Give an object of names."), code="aliases")
    for entry in value.values():
        candidates = entry if isinstance(entry, (list, tuple)) else [entry]
        if not candidates or not all(_is_candidate(candidate) for candidate in candidates):
            raise ValidationError(_("An alias names provider:model, or a list of those with weights."), code="aliases")


def target_names(alias: Any) -> list[str]:
    """The ``provider:model`` names of a valid alias, in their order."""
    entries = alias if isinstance(alias, (list, tuple)) else [alias]
    return [entry["target"] if isinstance(entry, Mapping) else entry for entry in entries]


def _is_candidate(value: Any) -> bool:
    if isinstance(value, str):
        return ":" in value
    if not isinstance(value, Mapping) or not {"target"} <= set(value) <= {"target", "weight"}:
        return False
    weight = value.get("weight", 1)
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    return isinstance(value["target"], str) and ":" in value["target"] and number and 0 < weight <= 1000


def _limit(label: StrOrPromise, text: StrOrPromise = "") -> models.PositiveIntegerField[int | None, int | None]:
    return models.PositiveIntegerField(label, null=True, blank=True, help_text=text)


def _budget(label: StrOrPromise) -> models.DecimalField[Decimal | None, Decimal | None]:
    return models.DecimalField(
        label, max_digits=12, decimal_places=4, null=True, blank=True, validators=[MinValueValidator(0)]
    )


def _temperature(label: StrOrPromise) -> models.FloatField[float | None, float | None]:
    return models.FloatField(label, null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)])


class RatePolicy(models.Model):
    """How often; ``None`` means no limit of that kind."""

    rpm = _limit(_("requests per minute"))
    rpd = _limit(_("requests per day"))
    tpm = _limit(_("tokens per minute"))
    end_user_rpm = _limit(_("requests per minute of one end user"))
    end_user_rpd = _limit(_("requests per day of one end user"))
    ip_rpm = _limit(_("requests per minute of one address"), _("For callers without an end user."))
    max_streams = _limit(_("streams at the same time"))
    routes = models.JSONField(
        _("limits by route"),
        default=dict,
        blank=True,
        validators=[validate_routes],
        help_text=_('Besides those above, for example {"chat": {"rpm": 10, "max_tokens": 500}}.'),
    )

    class Meta:
        abstract = True


class MoneyPolicy(models.Model):
    """How much, in US dollars. A hard budget refuses, a soft one tells; rows of ``Budget`` add users and models.

    Until ``digest_next_at`` a worker has the digest in hand, or it waits; ``digest_sent_until`` is how far it was told.
    """

    class Digest(models.TextChoices):
        OFF = "off", _("never")
        DAILY = "daily", _("every day")
        WEEKLY = "weekly", _("every Monday")

    budget_day_usd = _budget(_("daily budget (USD)"))
    budget_month_usd = _budget(_("monthly budget (USD)"))
    soft_budget_day_usd = _budget(_("soft daily budget (USD)"))
    soft_budget_month_usd = _budget(_("soft monthly budget (USD)"))
    alert_emails = models.JSONField(
        _("alert addresses"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("Who is told, once, that a soft budget or 80 % of a hard one is used."),
    )
    alert_url = models.URLField(
        _("alert URL"), max_length=500, blank=True, help_text=_("Gets the same as a Standard Webhook.")
    )
    digest = models.CharField(
        _("digest"),
        max_length=6,
        choices=Digest,
        default=Digest.OFF,
        help_text=_("A mail to the alert addresses about the day or week that has just ended."),
    )
    digest_sent_until = models.DateTimeField(_("digest sent until"), null=True, blank=True, editable=False)
    digest_next_at = models.DateTimeField(_("next digest not before"), null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class ModelPolicy(models.Model):
    """Which models, and what their parameters may be."""

    allowed_models = models.JSONField(
        _("allowed models"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("Names or globs such as gpt-4o-*; empty allows every configured model."),
    )
    denied_models = models.JSONField(
        _("denied models"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("Names or globs that stay refused, whatever is allowed."),
    )
    model_aliases = models.JSONField(
        _("model aliases"),
        default=dict,
        blank=True,
        validators=[validate_aliases],
        help_text=_('Before those of the settings, for example {"smart": ["openai:gpt-4o", "anthropic:claude-*"]}.'),
    )
    default_model = models.CharField(_("default model"), max_length=128, blank=True)
    system_prompt = models.TextField(_("system prompt"), blank=True, help_text=_("Put before every chat of this site."))
    default_max_tokens = _limit(_("default max_tokens"))
    max_tokens_limit = _limit(_("highest max_tokens"), _("A larger wish is lowered, and the reply says so."))
    default_temperature = _temperature(_("default temperature"))
    temperature_min = _temperature(_("lowest temperature"))
    temperature_max = _temperature(_("highest temperature"))

    class Meta:
        abstract = True


class AnswerPolicy(models.Model):
    """Cached answers, conversations, tools."""

    class CacheMode(models.TextChoices):
        OFF = "off", _("never")
        OPT_IN = "opt_in", _("when the call asks for it")
        DETERMINISTIC = "deterministic", _("also at temperature 0")

    cache_mode = models.CharField(_("cached answers"), max_length=16, choices=CacheMode, default=CacheMode.OPT_IN)
    cache_ttl_s = models.PositiveIntegerField(
        _("cached answers live (s)"), default=3600, validators=[MinValueValidator(1), MaxValueValidator(30 * 86_400)]
    )
    cache_per_end_user = models.BooleanField(
        _("cached answers of each end user for themselves"),
        default=True,
        help_text=_("Off: whoever asks the same gets the same answer, as pages that are alike for all visitors want."),
    )
    content_version = models.PositiveBigIntegerField(
        _("content version"), default=0, editable=False, help_text=_("Raised by a change of content; part of each key.")
    )
    conversation_tokens = models.PositiveIntegerField(
        _("tokens of a conversation"),
        default=4000,
        validators=[MinValueValidator(100)],
        help_text=_("Older turns are left out of what is sent."),
    )
    conversation_days = models.PositiveIntegerField(
        _("days a conversation is kept"), default=30, validators=[MinValueValidator(1), MaxValueValidator(3650)]
    )
    allowed_tools = models.JSONField(
        _("allowed tools"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("Names or globs of the host's own tools that this site's calls may use; empty allows none."),
    )

    class Meta:
        abstract = True

    def raise_content_version(self) -> None:
        """Make every answer that was kept so far one of older content."""
        type(self)._base_manager.filter(pk=self.pk).update(content_version=models.F("content_version") + 1)
        self.refresh_from_db(fields=["content_version"])


class JobPolicy(models.Model):
    """Long work: how much at once, how often, and how long it is kept."""

    class Retention(models.TextChoices):
        DELETE = "delete", _("are deleted")
        ANONYMISE = "anonymise", _("lose their texts and keep their figures")

    max_running_jobs = _limit(_("jobs running at the same time"), _("Empty: as many as the settings give one site."))
    job_rpm = _limit(_("jobs created per minute"))
    end_user_job_rpm = _limit(_("jobs created per minute by one end user"))
    job_days = models.PositiveIntegerField(
        _("days a job is kept"), default=30, validators=[MinValueValidator(1), MaxValueValidator(3650)]
    )
    job_retention = models.CharField(_("after that, jobs"), max_length=9, choices=Retention, default=Retention.DELETE)

    class Meta:
        abstract = True


class ContentPolicy(models.Model):
    """What text may pass, and what is hidden from a provider."""

    class Moderation(models.TextChoices):
        OFF = "off", _("off")
        LOCAL = "local", _("by the rules of this site")
        PROVIDER = "provider", _("by the provider's moderation")

    redact_pii = models.BooleanField(
        _("hide personal data"), default=False, help_text=_("Providers see placeholders; answers get the data back.")
    )
    redaction_locales = models.JSONField(
        _("locales of national ids"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("For example de, en-US, en-GB, fr, es, it, nl, ja; empty means all."),
    )
    redaction_patterns = models.JSONField(
        _("patterns of the site's own"),
        default=dict,
        blank=True,
        help_text=_('By name, for example {"order": "ORD-[0-9]{6}"}.'),
    )
    denied_terms = models.JSONField(
        _("denied terms"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("Words and phrases that a prompt must not contain."),
    )
    moderation = models.CharField(_("moderation"), max_length=8, choices=Moderation, default=Moderation.OFF)

    class Meta:
        abstract = True
