"""A WordPress site (or an agency above several) as we know it."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.retrieval_policy import RetrievalPolicy
from django_wp_ai.models.site_policy import (
    AnswerPolicy,
    ContentPolicy,
    JobPolicy,
    ModelPolicy,
    MoneyPolicy,
    RatePolicy,
    validate_names,  # noqa: F401 - released migrations look for it here
)

if TYPE_CHECKING:
    from django_wp_ai.models.credential import Credential

_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
M = TypeVar("M", bound=models.Model)


class TenantOwnedQuerySet(models.QuerySet[M], Generic[M]):
    """Queries on rows that belong to a tenant begin with ``for_tenant``."""

    def for_tenant(self, tenant: Tenant) -> Self:
        """Only this tenant's rows."""
        return self.filter(tenant=tenant)


def normalise_url(url: str) -> str:
    """A site URL as compared: lower-case scheme and host, no trailing slash."""
    parts = urlsplit(url.strip())
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}" if parts.netloc else ""


def validate_origins(value: Any) -> None:
    """A list of origins (``https://host[:port]``) without a wildcard."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _ORIGIN.fullmatch(v) for v in value):
        raise ValidationError(
            _("Give a list of origins such as https://example.org; a wildcard is not an origin."), code="origins"
        )


def validate_hosts(value: Any) -> None:
    """A list of host names or addresses, without port or wildcard."""
    if not isinstance(value, list) or not all(isinstance(v, str) and _is_host(v) for v in value):
        raise ValidationError(
            _("Give a list of host names or addresses such as blog.example.org, without https:// and port."),
            code="hosts",
        )


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # A name whose last part is a number would be read as an address by some resolvers, and not by others.
        return len(text) <= 253 and bool(_HOST.fullmatch(text.lower())) and not text.rpartition(".")[2].isdigit()
    return True


def validate_timezone(value: str) -> None:
    """An IANA time zone name."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(_("%(name)s is not a time zone."), params={"name": value}, code="timezone")


class Tenant(RatePolicy, MoneyPolicy, ModelPolicy, AnswerPolicy, JobPolicy, ContentPolicy, RetrievalPolicy):
    """One site, and what an operator sets for it."""

    slug = models.SlugField(_("slug"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    site_url = models.URLField(
        _("site URL"), max_length=500, blank=True, help_text=_("Where WordPress runs; JWTs may name it as issuer.")
    )
    parent = models.ForeignKey(
        "self", verbose_name=_("parent"), null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    is_active = models.BooleanField(_("active"), default=True)
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_timezone])
    origins = models.JSONField(
        _("origins"),
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text=_("Browser origins that may open streams with a one-time token."),
    )
    callback_hosts = models.JSONField(
        _("callback hosts"),
        default=list,
        blank=True,
        validators=[validate_hosts],
        help_text=_("Hosts that callbacks and file downloads may reach besides public addresses."),
    )
    callback_url = models.URLField(
        _("callback URL"),
        max_length=2000,
        blank=True,
        help_text=_("Where the site's plugin receives callbacks; pairing sets it."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    if TYPE_CHECKING:
        credentials: models.Manager[Credential]

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~models.Q(slug=""), name="wpai_tenant_slug_not_empty"),
            models.CheckConstraint(
                condition=models.Q(parent=None) | ~models.Q(parent=models.F("id")), name="wpai_tenant_not_own_parent"
            ),
            models.CheckConstraint(
                condition=models.Q(budget_day_usd=None) | models.Q(budget_day_usd__gte=0),
                name="wpai_tenant_budget_day_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(budget_month_usd=None) | models.Q(budget_month_usd__gte=0),
                name="wpai_tenant_budget_month_not_negative",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["site_url"], name="wpai_tenant_site_url")]

    def __str__(self) -> str:
        return self.name or self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the site URL in its compared form."""
        self.site_url = normalise_url(self.site_url)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse a site that is not on the web, and a chain of parents that returns to this tenant."""
        if self.site_url and not self.site_url.lower().startswith(("http://", "https://")):
            raise ValidationError({"site_url": _("The site URL must begin with http:// or https://.")}, code="site_url")
        seen, above = {self.pk}, self.parent
        while above is not None:
            if above.pk in seen:
                raise ValidationError({"parent": _("A tenant can't be above itself.")}, code="parent")
            seen.add(above.pk)
            above = above.parent

    def start_of_day(self, at: datetime | None = None) -> datetime:
        """Midnight in the tenant's time zone, at or before ``at`` (default: now)."""
        local = timezone.localtime(at or timezone.now(), zoneinfo.ZoneInfo(self.timezone))
        # An hour that comes twice must not lead to another midnight the second time.
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)

    def start_of_month(self, at: datetime | None = None) -> datetime:
        """The first midnight of the month in the tenant's time zone."""
        return self.start_of_day(at).replace(day=1)
