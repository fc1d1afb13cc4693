"""``wp_ai_tenant``: make, change and look at tenants."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.management import arguments
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Credential, Tenant, UsageEvent
from django_wp_ai.security.issue import issue_site_keys

COLUMNS = ("slug", "name", "site_url", "active", "parent", "rpm", "budget_day_usd", "budget_month_usd")
SECRETS_NOTE = "The secrets are shown only now: put them into the site's settings."


class Command(ReportingCommand):
    """Verbs create, set, show, list, deactivate."""

    help = "Make, change and look at tenants (sites)."

    def add_verbs(self) -> None:
        """Declare the verbs of PROTOCOL §6."""
        create = self.add_verb("create", "Make a tenant with its first keys.", self.create)
        create.add_argument("slug", metavar="SLUG")
        _add_fields(create)
        change = self.add_verb("set", "Change what is given; 'none' clears a value.", self.change)
        change.add_argument("slug", metavar="SLUG")
        _add_fields(change)
        show = self.add_verb("show", "Show a tenant with what it spent this month.", self.show)
        show.add_argument("slug", metavar="SLUG")
        self.add_verb("list", "List all tenants.", self.list_all)
        stop = self.add_verb("deactivate", "Stop all calls of a tenant.", self.deactivate)
        stop.add_argument("slug", metavar="SLUG")

    def create(self, *, slug: str, **options: Any) -> None:
        """Make the tenant and its keys, or nothing."""
        tenant = Tenant(slug=slug)
        try:
            with transaction.atomic():
                _apply(tenant, options)
                tenant.full_clean()
                tenant.save()
                keys = issue_site_keys(tenant)
        except IntegrityError:
            # Another process made it between validation and insert.
            raise Invalid("slug: Tenant with this slug already exists.") from None
        self.report({"tenant": tenant.slug, **keys.as_dict(), **describe(tenant)}, note=SECRETS_NOTE)

    def change(self, *, slug: str, **options: Any) -> None:
        """Change only the given fields."""
        with transaction.atomic():
            tenant = find_tenant(slug, for_update=True)
            changed = _apply(tenant, options)
            if not changed:
                raise Invalid("Nothing to change: give at least one option.")
            tenant.full_clean()
            tenant.save(update_fields=[*changed, "updated_at"])
        self.report({"tenant": tenant.slug, **describe(tenant)})

    def show(self, *, slug: str, **_options: Any) -> None:
        """One tenant, its credentials counted, its month so far."""
        tenant = find_tenant(slug)
        month = UsageEvent.objects.for_tenant(tenant).since(tenant.start_of_month())
        settled = month.filter(state=UsageEvent.State.SETTLED)
        self.report(
            {
                "tenant": tenant.slug,
                **describe(tenant),
                "live_credentials": Credential.objects.for_tenant(tenant).with_status("live").count(),
                "month_calls": month.count(),
                "month_spend_usd": month.spend(),
                "month_unknown_price_calls": settled.filter(cost_usd=None).count(),
            }
        )

    def list_all(self, **_options: Any) -> None:
        """All tenants by slug."""
        rows = [{"tenant": tenant.slug, **describe(tenant)} for tenant in Tenant.objects.select_related("parent")]
        self.report_table(rows, columns=COLUMNS, empty="There are no tenants.")

    def deactivate(self, *, slug: str, **_options: Any) -> None:
        """Stop the tenant; doing it twice is no error."""
        with transaction.atomic():
            tenant = find_tenant(slug, for_update=True)
            tenant.is_active = False
            tenant.save(update_fields=["is_active", "updated_at"])
        self.report({"tenant": tenant.slug, **describe(tenant)}, note="Its keys stay and are refused while it is off.")


def find_tenant(slug: str, *, for_update: bool = False) -> Tenant:
    """The tenant with this slug; raises NotFound with a sentence."""
    tenants = Tenant.objects.select_for_update() if for_update else Tenant.objects.all()
    try:
        return tenants.get(slug=slug)
    except Tenant.DoesNotExist:
        raise NotFound(f"There is no tenant {slug[:64]!r}.") from None


def describe(tenant: Tenant) -> dict[str, Any]:
    """The tenant's fields under the names of the options."""
    return {
        "slug": tenant.slug,
        "name": tenant.name,
        "site_url": tenant.site_url,
        "parent": tenant.parent.slug if tenant.parent else None,
        "active": tenant.is_active,
        "timezone": tenant.timezone,
        "rpm": tenant.rpm,
        "rpd": tenant.rpd,
        "tpm": tenant.tpm,
        "budget_day_usd": tenant.budget_day_usd,
        "budget_month_usd": tenant.budget_month_usd,
        "models": tenant.allowed_models,
        "origins": tenant.origins,
        "callback_hosts": tenant.callback_hosts,
        "created_at": tenant.created_at,
    }


def _add_fields(parser: argparse.ArgumentParser) -> None:
    """Options of ``create`` and ``set``; one that is not given stays out of the namespace."""
    unset = argparse.SUPPRESS
    text = arguments.text_or_none
    parser.add_argument("--name", metavar="N", type=text, default=unset)
    parser.add_argument("--site-url", metavar="URL", type=text, default=unset)
    parser.add_argument("--timezone", metavar="ZONE", default=unset, help="IANA name; days and months begin there.")
    parser.add_argument("--rpm", metavar="N", type=arguments.limit, default=unset, help="Requests per minute.")
    parser.add_argument("--rpd", metavar="N", type=arguments.limit, default=unset, help="Requests per day.")
    parser.add_argument("--tpm", metavar="N", type=arguments.limit, default=unset, help="Tokens per minute.")
    parser.add_argument("--budget-day-usd", metavar="X", type=arguments.money, default=unset)
    parser.add_argument("--budget-month-usd", metavar="X", type=arguments.money, default=unset)
    parser.add_argument(
        "--models", metavar="A,B", type=arguments.names, default=unset, dest="allowed_models", help="Names or globs."
    )
    parser.add_argument(
        "--origin", metavar="O", action="append", default=unset, dest="origins", help="May be repeated."
    )
    parser.add_argument(
        "--callback-host", metavar="H", action="append", default=unset, dest="callback_hosts", help="May be repeated."
    )
    parser.add_argument("--parent", metavar="SLUG", type=text, default=unset)


FIELDS = (
    "name",
    "site_url",
    "timezone",
    "rpm",
    "rpd",
    "tpm",
    "budget_day_usd",
    "budget_month_usd",
    "allowed_models",
    "origins",
    "callback_hosts",
)


def _apply(tenant: Tenant, options: dict[str, Any]) -> list[str]:
    """Set the given fields; returns their names."""
    changed = [field for field in FIELDS if field in options]
    for field in changed:
        value = options[field]
        if field in ("origins", "callback_hosts"):
            value = [] if [entry.lower() for entry in value] == [arguments.NONE] else list(dict.fromkeys(value))
        setattr(tenant, field, value)
    if "parent" in options:
        tenant.parent = _parent(options["parent"])
        changed.append("parent")
    return changed


def _parent(slug: str) -> Tenant | None:
    if not slug:
        return None
    try:
        return find_tenant(slug)
    except NotFound as error:
        raise ValidationError({"parent": error.detail}) from None
