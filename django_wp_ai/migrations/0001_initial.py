import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import django_wp_ai.models.credential
import django_wp_ai.models.tenant
import pgvector.django.halfvec
from pgvector.django import VectorExtension
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        VectorExtension(),  # PostgreSQL only; nothing happens on SQLite
        migrations.CreateModel(
            name="Credential",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "key_id",
                    models.CharField(
                        default=django_wp_ai.models.credential.new_key_id,
                        max_length=64,
                        unique=True,
                        verbose_name="key id",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("hmac", "shared secret, HMAC signature"),
                            ("jwt", "shared secret, JWT HS256"),
                            ("public_key", "public key, JWT RS256/ES256/EdDSA"),
                            ("api_key", "API key"),
                            ("callback", "signs callbacks to the site"),
                        ],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                (
                    "profile",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("rfc9421", "HTTP Message Signatures (RFC 9421)"),
                            ("wp-signature", "X-WP-Signature"),
                            ("ai-signature", "X-AI-Signature"),
                            ("ai-signature-timestamp", "X-AI-Signature, X-AI-Timestamp"),
                            ("timestamp-dot-body", "X-Signature, X-Timestamp"),
                            ("site-id", "X-Site-ID, X-Signature"),
                            ("x-sig", "X-Sig"),
                            ("x-sign", "X-Sign"),
                            ("x-aisig", "X-AISig"),
                        ],
                        help_text="For shared-secret signatures.",
                        max_length=32,
                        verbose_name="signature profile",
                    ),
                ),
                (
                    "algorithm",
                    models.CharField(
                        blank=True,
                        choices=[("HS256", "HS256"), ("RS256", "RS256"), ("ES256", "ES256"), ("EdDSA", "EdDSA")],
                        max_length=8,
                        verbose_name="JWT algorithm",
                    ),
                ),
                ("label", models.CharField(blank=True, max_length=100, verbose_name="label")),
                (
                    "scopes",
                    models.JSONField(
                        default=django_wp_ai.models.credential.all_scopes,
                        validators=[django_wp_ai.models.credential.validate_scopes],
                        verbose_name="scopes",
                    ),
                ),
                (
                    "allowed_models",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[django_wp_ai.models.tenant.validate_names],
                        verbose_name="allowed models",
                    ),
                ),
                (
                    "cidrs",
                    models.JSONField(
                        blank=True,
                        default=list,
                        validators=[django_wp_ai.models.credential.validate_cidrs],
                        verbose_name="allowed networks",
                    ),
                ),
                ("audience", models.CharField(blank=True, max_length=200, verbose_name="JWT audience")),
                (
                    "max_lifetime_s",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="More than the default, where a client needs it.",
                        null=True,
                        verbose_name="JWT lifetime limit (s)",
                    ),
                ),
                ("secret_encrypted", models.TextField(blank=True, editable=False, verbose_name="encrypted secret")),
                (
                    "secret_hash",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="secret hash"),
                ),
                ("public_key", models.TextField(blank=True, verbose_name="public key (PEM)")),
                ("not_before", models.DateTimeField(blank=True, null=True, verbose_name="not before")),
                ("expires_at", models.DateTimeField(blank=True, null=True, verbose_name="expires")),
                ("revoked_at", models.DateTimeField(blank=True, null=True, verbose_name="revoked")),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last used")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
            ],
            options={
                "verbose_name": "credential",
                "verbose_name_plural": "credentials",
                "ordering": ["tenant", "kind", "-created_at"],
            },
        ),
        migrations.CreateModel(
            name="SpentNonce",
            fields=[
                (
                    "key",
                    models.CharField(
                        help_text="SHA-256 of scope and value.",
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                        verbose_name="key",
                    ),
                ),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires")),
            ],
            options={
                "verbose_name": "spent nonce",
                "verbose_name_plural": "spent nonces",
            },
        ),
        migrations.CreateModel(
            name="AuthFailureCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(verbose_name="hour")),
                ("method", models.CharField(max_length=32, verbose_name="method")),
                ("reason", models.CharField(max_length=32, verbose_name="reason")),
                ("count", models.PositiveBigIntegerField(default=0, verbose_name="count")),
            ],
            options={
                "verbose_name": "authentication failures",
                "verbose_name_plural": "authentication failures",
                "ordering": ["-hour", "method", "reason"],
                "constraints": [
                    models.UniqueConstraint(fields=("hour", "method", "reason"), name="wpai_auth_failure_hour")
                ],
            },
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.SlugField(max_length=64, unique=True, verbose_name="slug")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "site_url",
                    models.URLField(
                        blank=True,
                        help_text="Where WordPress runs; JWTs may name it as issuer.",
                        max_length=500,
                        verbose_name="site URL",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "timezone",
                    models.CharField(
                        default="UTC",
                        max_length=64,
                        validators=[django_wp_ai.models.tenant.validate_timezone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "origins",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Browser origins that may open streams with a one-time token.",
                        validators=[django_wp_ai.models.tenant.validate_origins],
                        verbose_name="origins",
                    ),
                ),
                (
                    "callback_hosts",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Hosts that callbacks and file downloads may reach besides public addresses.",
                        validators=[django_wp_ai.models.tenant.validate_names],
                        verbose_name="callback hosts",
                    ),
                ),
                (
                    "allowed_models",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Names or globs such as gpt-4o-*; empty allows every configured model.",
                        validators=[django_wp_ai.models.tenant.validate_names],
                        verbose_name="allowed models",
                    ),
                ),
                ("default_model", models.CharField(blank=True, max_length=128, verbose_name="default model")),
                (
                    "system_prompt",
                    models.TextField(
                        blank=True, help_text="Put before every chat of this site.", verbose_name="system prompt"
                    ),
                ),
                ("rpm", models.PositiveIntegerField(blank=True, null=True, verbose_name="requests per minute")),
                ("rpd", models.PositiveIntegerField(blank=True, null=True, verbose_name="requests per day")),
                ("tpm", models.PositiveIntegerField(blank=True, null=True, verbose_name="tokens per minute")),
                (
                    "budget_day_usd",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        max_digits=12,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="daily budget (USD)",
                    ),
                ),
                (
                    "budget_month_usd",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        max_digits=12,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="monthly budget (USD)",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="django_wp_ai.tenant",
                        verbose_name="parent",
                    ),
                ),
            ],
            options={
                "verbose_name": "tenant",
                "verbose_name_plural": "tenants",
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=64, verbose_name="kind")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        default="queued",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("input", models.JSONField(default=dict, verbose_name="input")),
                ("result", models.JSONField(blank=True, null=True, verbose_name="result")),
                ("error_code", models.CharField(blank=True, max_length=32, verbose_name="error")),
                ("error_message", models.CharField(blank=True, max_length=500, verbose_name="error message")),
                ("progress", models.PositiveSmallIntegerField(default=0, verbose_name="progress (%)")),
                ("metadata", models.JSONField(blank=True, default=dict, verbose_name="metadata")),
                ("end_user", models.CharField(blank=True, max_length=128, verbose_name="end user")),
                (
                    "idempotency_key",
                    models.CharField(blank=True, max_length=255, null=True, verbose_name="idempotency key"),
                ),
                ("callback_url", models.URLField(blank=True, max_length=2000, verbose_name="callback URL")),
                ("callback_profile", models.CharField(blank=True, max_length=32, verbose_name="callback profile")),
                ("priority", models.SmallIntegerField(default=0, verbose_name="priority")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("run_after", models.DateTimeField(default=django.utils.timezone.now, verbose_name="run after")),
                ("lease_until", models.DateTimeField(blank=True, null=True, verbose_name="lease until")),
                ("fence", models.PositiveBigIntegerField(default=0, verbose_name="fencing token")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created")),
                ("started_at", models.DateTimeField(blank=True, null=True, verbose_name="started")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                (
                    "credential",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="django_wp_ai.credential",
                        verbose_name="credential",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="jobs",
                        to="django_wp_ai.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source_id", models.CharField(max_length=255, verbose_name="source id")),
                ("title", models.CharField(blank=True, max_length=500, verbose_name="title")),
                ("url", models.URLField(blank=True, max_length=2000, verbose_name="URL")),
                ("mime", models.CharField(blank=True, max_length=127, verbose_name="media type")),
                ("content_hash", models.CharField(blank=True, max_length=64, verbose_name="content hash")),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "pending"), ("indexed", "indexed"), ("failed", "failed")],
                        default="pending",
                        max_length=8,
                        verbose_name="status",
                    ),
                ),
                ("error_message", models.CharField(blank=True, max_length=500, verbose_name="error message")),
                ("metadata", models.JSONField(blank=True, default=dict, verbose_name="metadata")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="django_wp_ai.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "document",
                "verbose_name_plural": "documents",
                "ordering": ["-updated_at"],
            },
        ),
        migrations.AddField(
            model_name="credential",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="credentials",
                to="django_wp_ai.tenant",
                verbose_name="tenant",
            ),
        ),
        migrations.CreateModel(
            name="Chunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ordinal", models.PositiveIntegerField(verbose_name="ordinal")),
                ("content", models.TextField(verbose_name="content")),
                ("content_hash", models.CharField(max_length=64, verbose_name="content hash")),
                ("token_count", models.PositiveIntegerField(default=0, verbose_name="tokens")),
                ("embedding_model", models.CharField(blank=True, max_length=128, verbose_name="embedding model")),
                ("dimensions", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="dimensions")),
                ("embedding", pgvector.django.halfvec.HalfVectorField(blank=True, null=True, verbose_name="embedding")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="django_wp_ai.document",
                        verbose_name="document",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="django_wp_ai.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "chunk",
                "verbose_name_plural": "chunks",
                "ordering": ["document", "ordinal"],
            },
        ),
        migrations.CreateModel(
            name="UsageEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("call_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name="call id")),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "pending"), ("settled", "settled")],
                        default="pending",
                        max_length=8,
                        verbose_name="state",
                    ),
                ),
                ("route", models.CharField(max_length=32, verbose_name="route")),
                ("provider", models.CharField(max_length=64, verbose_name="provider")),
                ("model", models.CharField(max_length=128, verbose_name="model")),
                ("end_user", models.CharField(blank=True, max_length=128, verbose_name="end user")),
                ("plugin", models.CharField(blank=True, max_length=128, verbose_name="plugin")),
                ("request_id", models.CharField(blank=True, max_length=128, verbose_name="request id")),
                ("input_tokens", models.PositiveIntegerField(default=0, verbose_name="input tokens")),
                ("output_tokens", models.PositiveIntegerField(default=0, verbose_name="output tokens")),
                ("cached_input_tokens", models.PositiveIntegerField(default=0, verbose_name="cached input tokens")),
                ("cache_write_tokens", models.PositiveIntegerField(default=0, verbose_name="cache write tokens")),
                ("reasoning_tokens", models.PositiveIntegerField(default=0, verbose_name="reasoning tokens")),
                (
                    "input_price",
                    models.DecimalField(
                        blank=True, decimal_places=6, max_digits=14, null=True, verbose_name="input price"
                    ),
                ),
                (
                    "output_price",
                    models.DecimalField(
                        blank=True, decimal_places=6, max_digits=14, null=True, verbose_name="output price"
                    ),
                ),
                (
                    "cached_input_price",
                    models.DecimalField(
                        blank=True, decimal_places=6, max_digits=14, null=True, verbose_name="cached input price"
                    ),
                ),
                (
                    "cache_write_price",
                    models.DecimalField(
                        blank=True, decimal_places=6, max_digits=14, null=True, verbose_name="cache write price"
                    ),
                ),
                (
                    "cost_usd",
                    models.DecimalField(
                        blank=True, decimal_places=9, max_digits=16, null=True, verbose_name="cost (USD)"
                    ),
                ),
                ("cached", models.BooleanField(default=False, verbose_name="from cache")),
                ("estimated", models.BooleanField(default=False, verbose_name="estimated")),
                ("streamed", models.BooleanField(default=False, verbose_name="streamed")),
                ("finish_reason", models.CharField(blank=True, max_length=16, verbose_name="finish reason")),
                ("error_code", models.CharField(blank=True, max_length=32, verbose_name="error")),
                (
                    "provider_status",
                    models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="provider status"),
                ),
                ("latency_ms", models.PositiveIntegerField(blank=True, null=True, verbose_name="latency (ms)")),
                ("first_token_ms", models.PositiveIntegerField(blank=True, null=True, verbose_name="first token (ms)")),
                ("created_at", models.DateTimeField(db_index=True, verbose_name="created")),
                ("settled_at", models.DateTimeField(blank=True, null=True, verbose_name="settled")),
                (
                    "credential",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="django_wp_ai.credential",
                        verbose_name="credential",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage_events",
                        to="django_wp_ai.tenant",
                        verbose_name="tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "usage event",
                "verbose_name_plural": "usage",
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.AddIndex(
            model_name="tenant",
            index=models.Index(fields=["site_url"], name="wpai_tenant_site_url"),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(("slug", ""), _negated=True), name="wpai_tenant_slug_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("parent", None), models.Q(("parent", models.F("id")), _negated=True), _connector="OR"
                ),
                name="wpai_tenant_not_own_parent",
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(("budget_day_usd", None), ("budget_day_usd__gte", 0), _connector="OR"),
                name="wpai_tenant_budget_day_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="tenant",
            constraint=models.CheckConstraint(
                condition=models.Q(("budget_month_usd", None), ("budget_month_usd__gte", 0), _connector="OR"),
                name="wpai_tenant_budget_month_not_negative",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["tenant", "-created_at"], name="wpai_job_tenant_time"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(condition=models.Q(("status", "queued")), fields=["run_after"], name="wpai_job_queued"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("status", "running")), fields=["lease_until"], name="wpai_job_running"
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(fields=("tenant", "idempotency_key"), name="wpai_job_idempotency_key"),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(("progress__lte", 100)), name="wpai_job_progress_is_percent"
            ),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at", None), ("status__in", ["queued", "running"])),
                    models.Q(("finished_at__isnull", False), ("status__in", ["succeeded", "failed", "cancelled"])),
                    _connector="OR",
                ),
                name="wpai_job_ended_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(fields=("tenant", "source_id"), name="wpai_document_source"),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("source_id", ""), _negated=True), name="wpai_document_source_not_empty"
            ),
        ),
        migrations.AddIndex(
            model_name="credential",
            index=models.Index(fields=["tenant", "kind"], name="wpai_cred_tenant_kind"),
        ),
        migrations.AddConstraint(
            model_name="credential",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("algorithm", ""), ("kind", "hmac"), models.Q(("profile", ""), _negated=True)),
                    models.Q(("algorithm", "HS256"), ("kind", "jwt"), ("profile", "")),
                    models.Q(("algorithm__in", ["RS256", "ES256", "EdDSA"]), ("kind", "public_key"), ("profile", "")),
                    models.Q(("algorithm", ""), ("kind__in", ["api_key", "callback"]), ("profile", "")),
                    _connector="OR",
                ),
                name="wpai_cred_kind_has_its_profile",
            ),
        ),
        migrations.AddConstraint(
            model_name="credential",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind__in", ["hmac", "jwt", "callback"]),
                        ("public_key", ""),
                        ("secret_hash", ""),
                        models.Q(("secret_encrypted", ""), _negated=True),
                    ),
                    models.Q(
                        ("kind", "public_key"),
                        ("secret_encrypted", ""),
                        ("secret_hash", ""),
                        models.Q(("public_key", ""), _negated=True),
                    ),
                    models.Q(
                        ("kind", "api_key"),
                        ("public_key", ""),
                        ("secret_encrypted", ""),
                        models.Q(("secret_hash", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="wpai_cred_kind_has_its_secret",
            ),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(fields=["tenant", "embedding_model", "dimensions"], name="wpai_chunk_tenant_model"),
        ),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(fields=["tenant", "content_hash"], name="wpai_chunk_content_hash"),
        ),
        migrations.AddConstraint(
            model_name="chunk",
            constraint=models.UniqueConstraint(fields=("document", "ordinal"), name="wpai_chunk_ordinal"),
        ),
        migrations.AddConstraint(
            model_name="chunk",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("dimensions", None), ("embedding", None)),
                    models.Q(
                        ("dimensions__isnull", False),
                        ("embedding__isnull", False),
                        models.Q(("embedding_model", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="wpai_chunk_embedding_is_named",
            ),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["tenant", "created_at"], name="wpai_usage_tenant_time"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["tenant", "end_user", "created_at"], name="wpai_usage_end_user_time"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(fields=["request_id"], name="wpai_usage_request_id"),
        ),
        migrations.AddIndex(
            model_name="usageevent",
            index=models.Index(
                condition=models.Q(("state", "pending")), fields=["created_at"], name="wpai_usage_pending"
            ),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("cost_usd", None), ("cost_usd__gte", 0), _connector="OR"),
                name="wpai_usage_cost_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("settled_at", None), ("state", "pending")),
                    models.Q(("settled_at__isnull", False), ("state", "settled")),
                    _connector="OR",
                ),
                name="wpai_usage_settled_has_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="usageevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("cached_input_tokens__lte", models.F("input_tokens"))),
                name="wpai_usage_cached_within_input",
            ),
        ),
    ]
