"""What a model can't check of a site's settings by itself: for the admin's forms and the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from django_wp_ai.models import Tenant
from django_wp_ai.policy.content.redaction import redactor, regions
from django_wp_ai.providers.registry import providers

#: The fields that ``check`` looks at.
FIELDS = frozenset(
    {
        "alert_emails",
        "alert_url",
        "callback_url",
        "redaction_locales",
        "redaction_patterns",
        "temperature_min",
        "default_temperature",
        "temperature_max",
    }
)


def check(tenant: Tenant) -> None:
    """Raise ValidationError, by field, for settings that calls of the site would fail with."""
    found: dict[str, str] = {}
    _check_addresses(tenant, found)
    _check_redaction(tenant, found)
    _check_temperatures(tenant, found)
    if found:
        raise ValidationError({name: ValidationError(message, code="invalid") for name, message in found.items()})


def _check_addresses(tenant: Tenant, found: dict[str, str]) -> None:
    for address in tenant.alert_emails:
        try:
            validate_email(address)
        except ValidationError:
            found["alert_emails"] = _("%(text)s is not an e-mail address.") % {"text": str(address)[:100]}
    for name in ("alert_url", "callback_url"):
        url = getattr(tenant, name)
        if url and not url.lower().startswith(("http://", "https://")):
            found[name] = _("The URL must begin with http:// or https://.")


def _check_redaction(tenant: Tenant, found: dict[str, str]) -> None:
    try:
        regions(tenant.redaction_locales)
    except ValueError as error:
        found["redaction_locales"] = str(error)
    patterns: Any = tenant.redaction_patterns
    try:
        if not isinstance(patterns, dict):
            raise ValueError(_('Give an object of patterns by name, such as {"order": "ORD-[0-9]{6}"}.'))
        redactor((), patterns)
    except ValueError as error:
        found["redaction_patterns"] = str(error)


def _check_temperatures(tenant: Tenant, found: dict[str, str]) -> None:
    low, wanted, high = tenant.temperature_min, tenant.default_temperature, tenant.temperature_max
    if low is not None and high is not None and low > high:
        found["temperature_max"] = _("The highest temperature is below the lowest.")
    elif wanted is not None and not (low or 0) <= wanted <= (2 if high is None else high):
        found["default_temperature"] = _("The default temperature lies outside what is allowed.")


def doubts(tenant: Tenant) -> Iterator[str]:
    """What may be meant so, and more likely is not: a sentence each."""
    names = [("default_model", tenant.default_model)] if ":" in tenant.default_model else []
    names += [(alias, target) for alias, entry in tenant.model_aliases.items() for target in _targets(entry)]
    for name, target in names:
        provider, __, model = target.partition(":")
        configured = providers().get(provider)
        if configured is None:
            yield _("%(name)s: %(target)s is of no configured provider.") % {"name": name, "target": target}
        elif not configured.serves(model):
            yield _("%(name)s: the provider does not serve %(target)s.") % {"name": name, "target": target}
    if tenant.digest != Tenant.Digest.OFF and not tenant.alert_emails:
        yield _("There is no alert address that the digest could be sent to.")
    for soft, hard in (
        (tenant.soft_budget_day_usd, tenant.budget_day_usd),
        (tenant.soft_budget_month_usd, tenant.budget_month_usd),
    ):
        if soft is not None and hard is not None and soft > hard:
            yield _("A soft budget of %(soft)s USD is never reached below a hard one of %(hard)s USD.") % {
                "soft": soft,
                "hard": hard,
            }


def _targets(entry: Any) -> Iterator[str]:
    """The candidates of an alias, each ``provider:model``."""
    for candidate in entry if isinstance(entry, list) else [entry]:
        yield candidate["target"] if isinstance(candidate, dict) else candidate
