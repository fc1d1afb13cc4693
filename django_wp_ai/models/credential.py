"""A way for a tenant to prove who it is: several live ones overlap while they are rotated."""

from __future__ import annotations

import ipaddress
import secrets as random
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.site_policy import validate_names
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

SCOPES = ("chat", "embeddings", "jobs", "rag.read", "rag.write", "usage", "stream")
KEY_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def all_scopes() -> list[str]:
    """Every scope there is; what a new credential gets unless told otherwise."""
    return list(SCOPES)


def new_key_id() -> str:
    """A public, URL-safe key id of 60 random bits, without underscores."""
    return "".join(random.choice(KEY_ID_ALPHABET) for _ in range(12))


def validate_scopes(value: Any) -> None:
    """A list of known scopes."""
    if not isinstance(value, list) or not all(v in SCOPES for v in value):
        raise ValidationError(_("Known scopes: %(scopes)s."), params={"scopes": ", ".join(SCOPES)}, code="scopes")


def validate_cidrs(value: Any) -> None:
    """A list of networks in CIDR notation."""
    try:
        for cidr in value:
            ipaddress.ip_network(cidr)
    except (TypeError, ValueError):
        raise ValidationError(_("Give a list of networks such as 203.0.113.0/24."), code="cidrs") from None


class CredentialQuerySet(TenantOwnedQuerySet["Credential"]):
    """Sets of credentials."""

    def live(self, at: datetime | None = None) -> Self:
        """Not revoked, begun, not expired, and of an active tenant."""
        at = at or timezone.now()
        return self.filter(
            models.Q(not_before=None) | models.Q(not_before__lte=at),
            models.Q(expires_at=None) | models.Q(expires_at__gt=at),
            revoked_at=None,
            tenant__is_active=True,
        )

    def with_status(self, status: str, at: datetime | None = None) -> Self:
        """Rows whose ``status()`` is this one (the tenant's own state is not looked at)."""
        at = at or timezone.now()
        unrevoked = self.filter(revoked_at=None)
        expired, early = models.Q(expires_at__lte=at), models.Q(not_before__gt=at)
        if status == Credential.Status.REVOKED:
            return self.filter(revoked_at__isnull=False)
        if status == Credential.Status.EXPIRED:
            return unrevoked.filter(expired)
        if status == Credential.Status.NOT_YET:
            return unrevoked.exclude(expired).filter(early)
        if status == Credential.Status.LIVE:
            return unrevoked.exclude(expired).exclude(early)
        raise ValueError(f"Unknown status {status!r}.")


class Credential(models.Model):
    """A key id with what belongs to it. Only ``security.secrets`` reads or writes the secret columns."""

    class Kind(models.TextChoices):
        HMAC = "hmac", _("shared secret, HMAC signature")
        JWT = "jwt", _("shared secret, JWT HS256")
        PUBLIC_KEY = "public_key", _("public key, JWT RS256/ES256/EdDSA")
        API_KEY = "api_key", _("API key")
        CALLBACK = "callback", _("signs callbacks to the site")
        APP_PASSWORD = "app_password", _("WordPress Application Password")

    class Profile(models.TextChoices):
        RFC9421 = "rfc9421", _("HTTP Message Signatures (RFC 9421)")
        WP_SIGNATURE = "wp-signature", "X-WP-Signature"
        AI_SIGNATURE = "ai-signature", "X-AI-Signature"
        AI_SIGNATURE_TIMESTAMP = "ai-signature-timestamp", "X-AI-Signature, X-AI-Timestamp"
        TIMESTAMP_DOT_BODY = "timestamp-dot-body", "X-Signature, X-Timestamp"
        SITE_ID = "site-id", "X-Site-ID, X-Signature"
        X_SIG = "x-sig", "X-Sig"
        X_SIGN = "x-sign", "X-Sign"
        X_AISIG = "x-aisig", "X-AISig"

    class Algorithm(models.TextChoices):
        HS256 = "HS256", "HS256"
        RS256 = "RS256", "RS256"
        ES256 = "ES256", "ES256"
        EDDSA = "EdDSA", "EdDSA"

    class Status(models.TextChoices):
        LIVE = "live", _("live")
        NOT_YET = "not_yet", _("not yet")
        EXPIRED = "expired", _("expired")
        REVOKED = "revoked", _("revoked")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="credentials")
    key_id = models.CharField(_("key id"), max_length=64, unique=True, default=new_key_id)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    profile = models.CharField(
        _("signature profile"), max_length=32, choices=Profile, blank=True, help_text=_("For shared-secret signatures.")
    )
    algorithm = models.CharField(_("JWT algorithm"), max_length=8, choices=Algorithm, blank=True)
    label = models.CharField(_("label"), max_length=100, blank=True)
    username = models.CharField(
        _("WordPress user"), max_length=100, blank=True, help_text=_("Whose Application Password it is.")
    )
    scopes = models.JSONField(_("scopes"), default=all_scopes, validators=[validate_scopes])
    allowed_models = models.JSONField(_("allowed models"), default=list, blank=True, validators=[validate_names])
    cidrs = models.JSONField(_("allowed networks"), default=list, blank=True, validators=[validate_cidrs])
    audience = models.CharField(_("JWT audience"), max_length=200, blank=True)
    max_lifetime_s = models.PositiveIntegerField(
        _("JWT lifetime limit (s)"),
        null=True,
        blank=True,
        help_text=_("More than the default, where a client needs it."),
    )
    secret_encrypted = models.TextField(_("encrypted secret"), blank=True, editable=False)
    secret_hash = models.CharField(_("secret hash"), max_length=64, blank=True, editable=False)
    public_key = models.TextField(_("public key (PEM)"), blank=True)
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering: ClassVar = ["tenant", "kind", "-created_at"]
        indexes: ClassVar = [models.Index(fields=["tenant", "kind"], name="wpai_cred_tenant_kind")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind="hmac", algorithm="") & ~models.Q(profile="")
                | models.Q(kind="jwt", profile="", algorithm="HS256")
                | models.Q(kind="public_key", profile="", algorithm__in=["RS256", "ES256", "EdDSA"])
                | models.Q(kind__in=["api_key", "callback", "app_password"], profile="", algorithm=""),
                name="wpai_cred_kind_has_its_profile",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["hmac", "jwt", "callback", "app_password"], secret_hash="", public_key="")
                & ~models.Q(secret_encrypted="")
                | models.Q(kind="public_key", secret_hash="", secret_encrypted="") & ~models.Q(public_key="")
                | models.Q(kind="api_key", public_key="", secret_encrypted="") & ~models.Q(secret_hash=""),
                name="wpai_cred_kind_has_its_secret",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="app_password") & ~models.Q(username="")
                | ~models.Q(kind="app_password") & models.Q(username=""),
                name="wpai_cred_app_password_has_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.key_id}"

    def is_live(self, at: datetime | None = None) -> bool:
        """Whether this row may authenticate at ``at`` (the tenant's own state is not looked at)."""
        at = at or timezone.now()
        return (
            self.revoked_at is None
            and (self.not_before is None or self.not_before <= at)
            and (self.expires_at is None or self.expires_at > at)
        )

    def status(self, at: datetime | None = None) -> Credential.Status:
        """Where in its life this row is at ``at``; only a live one may authenticate."""
        at = at or timezone.now()
        if self.revoked_at is not None:
            return self.Status.REVOKED
        if self.expires_at is not None and self.expires_at <= at:
            return self.Status.EXPIRED
        if self.not_before is not None and self.not_before > at:
            return self.Status.NOT_YET
        return self.Status.LIVE

    def revoke(self) -> None:
        """Stop this credential now; it stays as a record."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    def expire_in(self, overlap: timedelta) -> None:
        """Let it live on for ``overlap`` at most."""
        end = timezone.now() + overlap
        if self.expires_at is None or self.expires_at > end:
            self.expires_at = end
            self.save(update_fields=["expires_at"])

    def touch(self) -> None:
        """Note the use, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            self.last_used_at = now
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
