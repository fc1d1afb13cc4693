from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_wp_ai", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RateWindow",
            fields=[
                (
                    "key",
                    models.CharField(
                        help_text="SHA-256 of who and which limit.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                        verbose_name="key",
                    ),
                ),
                ("buckets", models.JSONField(default=dict, verbose_name="buckets")),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires")),
            ],
            options={
                "verbose_name": "rate window",
                "verbose_name_plural": "rate windows",
                "ordering": ["key"],
            },
        ),
        migrations.CreateModel(
            name="BudgetPeriod",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(choices=[("day", "day"), ("month", "month")], max_length=5, verbose_name="kind"),
                ),
                ("starts_at", models.DateTimeField(verbose_name="starts")),
                (
                    "reserved_usd",
                    models.DecimalField(
                        decimal_places=9, default=Decimal("0"), max_digits=20, verbose_name="reserved (USD)"
                    ),
                ),
                (
                    "spent_usd",
                    models.DecimalField(
                        decimal_places=9, default=Decimal("0"), max_digits=20, verbose_name="spent (USD)"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="budget_periods",
                        to="django_wp_ai.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "budget period",
                "verbose_name_plural": "budget periods",
                "ordering": ["-starts_at", "tenant", "kind"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "kind", "starts_at"), name="wpai_budget_period"),
                    models.CheckConstraint(
                        condition=models.Q(("reserved_usd__gte", 0), ("spent_usd__gte", 0)),
                        name="wpai_budget_not_negative",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="usageevent",
            name="reserved_usd",
            field=models.DecimalField(
                blank=True, decimal_places=9, editable=False, max_digits=20, null=True, verbose_name="reserved (USD)"
            ),
        ),
        migrations.AddField(
            model_name="usageevent",
            name="held_periods",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="Ids of the counters that keep the reservation until the call is settled.",
                verbose_name="held budget periods",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("reserved_usd", None), ("reserved_usd__gte", 0), _connector="OR"),
                name="wpai_usage_reserved_not_negative",
            ),
        ),
    ]
