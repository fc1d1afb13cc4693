"""``wp_ai_tenant``: make, change and look at tenants."""

from __future__ import annotations

import argparse
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway import pairing, site_settings
from django_wp_ai.management import arguments, tenant_fields
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Budget, BudgetPeriod, Credential, Tenant, UsageEvent
from django_wp_ai.security.issue import issue_site_keys

COLUMNS = ("slug", "name", "site_url", "active", "parent", "rpm", "budget_day_usd", "budget_month_usd")
BUDGET_COLUMNS = ("applies_to", "name", "period", "amount_usd", "is_hard")
CODE_NOTE = "Enter it in the plugin's settings. It works once, and is shown only now."
SECRETS_NOTE = "The secrets are shown only now: put them into the site's settings."


class Command(ReportingCommand):
    """Verbs create, set, show, list, budget, pair, deactivate."""

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
        _add_budget_options(self.add_verb("budget", "List, set or remove budgets of users and models.", self.budget))
        pair = self.add_verb("pair", "Make a pairing code and print it once.", self.pair)
        pair.add_argument("slug", metavar="SLUG")
        stop = self.add_verb("deactivate", "Stop all calls of a tenant.", self.deactivate)
        stop.add_argument("slug", metavar="SLUG")

    def create(self, *, slug: str, **options: Any) -> None:
        """Make the tenant and its keys, or nothing."""
        tenant = Tenant(slug=slug)
        try:
            with transaction.atomic():
                _apply(tenant, options)
                tenant.save()
                keys = issue_site_keys(tenant)
                note = " ".join([SECRETS_NOTE, *site_settings.doubts(tenant)])
        except IntegrityError:
            # Another process made it between validation and insert.
            raise Invalid("slug: Tenant with this slug already exists.") from None
        self.report({"tenant": tenant.slug, **keys.as_dict(), **describe(tenant)}, note=note)

    def change(self, *, slug: str, **options: Any) -> None:
        """Change only the given fields."""
        with transaction.atomic():
            tenant = find_tenant(slug, for_update=True)
            changed = _apply(tenant, options)
            if not changed:
                raise Invalid("Nothing to change: give at least one option.")
            tenant.save(update_fields=[*changed, "updated_at"])
            note = " ".join(site_settings.doubts(tenant))
        self.report({"tenant": tenant.slug, **describe(tenant)}, note=note)

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

    def budget(
        self, *, slug: str, applies_to: str | None, name: str, period: str | None, soft: bool, **options: Any
    ) -> None:
        """With ``--usd`` set one budget, or remove it by ``none``; then list all."""
        tenant = find_tenant(slug)
        if "usd" in options:
            if applies_to is None or period is None:
                raise Invalid("Say which budget: give --applies-to and --period.")
            set_budget(tenant, applies_to=applies_to, name=name, period=period, is_hard=not soft, usd=options["usd"])
        elif applies_to or period or name or soft:
            raise Invalid("Give --usd X to set the budget, or --usd none to remove it.")
        rows = [describe_budget(budget) for budget in Budget.objects.for_tenant(tenant)]
        self.report_table(rows, columns=BUDGET_COLUMNS, empty="This tenant has no budgets of users or models.")

    def pair(self, *, slug: str, **_options: Any) -> None:
        """Make the code that the site's plugin is given."""
        made = pairing.make(find_tenant(slug))
        self.report({"tenant": slug, "code": made.code, "expires_at": made.expires_at}, note=CODE_NOTE)

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


def set_budget(tenant: Tenant, *, applies_to: str, name: str, period: str, is_hard: bool, usd: Decimal | None) -> None:
    """Make, change or (None) remove the budget of one part of the tenant's calls."""
    which: dict[str, Any] = {"applies_to": applies_to, "name": name, "period": period, "is_hard": is_hard}
    with transaction.atomic():
        mine = Budget.objects.for_tenant(tenant).filter(**which)
        if usd is None:
            if not mine.delete()[0]:
                raise NotFound("There is no such budget.")
            return
        Budget(tenant=tenant, amount_usd=usd, **which).full_clean(validate_unique=False, validate_constraints=False)
        Budget.objects.update_or_create(tenant=tenant, **which, defaults={"amount_usd": usd})


def describe_budget(budget: Budget) -> dict[str, Any]:
    """A budget under the names of its columns; an empty name stands for each one."""
    return {column: getattr(budget, column) for column in BUDGET_COLUMNS}


def describe(tenant: Tenant) -> dict[str, Any]:
    """The tenant's fields under the names of the options."""
    return {
        "slug": tenant.slug,
        "active": tenant.is_active,
        "parent": tenant.parent.slug if tenant.parent else None,
        **tenant_fields.described(tenant),
        "created_at": tenant.created_at,
    }


def _add_budget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slug", metavar="SLUG")
    parser.add_argument("--applies-to", choices=Budget.AppliesTo.values)
    parser.add_argument("--name", metavar="X", default="", help="An end user's id or a model; without it, each one.")
    parser.add_argument("--period", choices=BudgetPeriod.Kind.values)
    parser.add_argument("--usd", metavar="X", type=arguments.money, default=argparse.SUPPRESS, help="none removes it.")
    parser.add_argument("--soft", action="store_true", help="Tells and does not refuse.")


def _add_fields(parser: argparse.ArgumentParser) -> None:
    """Options of ``create`` and ``set``; one that is not given stays out of the namespace."""
    tenant_fields.add_options(parser)
    parser.add_argument("--parent", metavar="SLUG", type=arguments.text_or_none, default=argparse.SUPPRESS)


def _apply(tenant: Tenant, options: dict[str, Any]) -> list[str]:
    """Set the given fields and check them all; returns the names of those that were given."""
    changed = tenant_fields.apply(tenant, options)
    if "parent" in options:
        tenant.parent = _parent(options["parent"])
        changed.append("parent")
    tenant.full_clean()
    if changed:
        site_settings.check(tenant)
    return changed


def _parent(slug: str) -> Tenant | None:
    if not slug:
        return None
    try:
        return find_tenant(slug)
    except NotFound as error:
        raise ValidationError({"parent": error.detail}) from None
