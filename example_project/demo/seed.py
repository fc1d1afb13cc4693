"""What a fresh demo holds: a tenant with every kind of key, an admin user. Safe to run again."""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from demo.articles import SITE_NAME, SITE_URL
from django_wp_ai.models import Credential, Tenant
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue

ADMIN = "admin"
Kind, Profile = Credential.Kind, Credential.Profile


@transaction.atomic
def seed(slug: str, *, base_url: str, label: str, own_database: bool, held: Mapping[str, Any]) -> dict[str, Any]:
    """Make what is missing and return all keys in the shape of ``demo.json``.

    ``held`` is what an earlier run returned: a key that is still valid is kept, any other key with this ``label`` is
    revoked. The label names one demo, since several may share a database. Without ``own_database`` an admin user that
    is there already is somebody's, and stays as it is.
    """
    tenant, _ = Tenant.objects.get_or_create(slug=slug, defaults={"name": SITE_NAME, "site_url": SITE_URL})
    if base_url not in tenant.origins:
        tenant.origins = [*tenant.origins, base_url]
        tenant.save(update_fields=["origins"])
    keys = Keys(tenant, label)
    result = {
        "hmac": keys.signing(Profile.RFC9421, held.get("hmac")),
        "jwt": keys.jwt(held.get("jwt")),
        "api_key": keys.api_key(held.get("api_key")),
        "callback_secret": keys.callback_secret(held.get("callback_secret")),
        "legacy": {
            profile: keys.signing(profile, _object(held.get("legacy")).get(profile))
            for profile in Profile.values
            if profile != Profile.RFC9421
        },
        "admin": _admin(_object(held.get("admin")).get("password", ""), may_reset=own_database),
    }
    keys.revoke_others()
    return result


class Keys:
    """The demo's credentials: kept where the held secret still opens them, made anew elsewhere."""

    def __init__(self, tenant: Tenant, label: str) -> None:
        self._tenant = tenant
        self._label = label
        self._live = [row for row in Credential.objects.for_tenant(tenant).live() if row.label == label]
        self._used: set[int] = set()

    def signing(self, profile: str, held: Any) -> dict[str, str]:
        """A shared secret for one signature profile."""
        credential, secret = self._shared(Kind.HMAC, _object(held).get("secret", ""), profile=profile)
        return {"keyid": credential.key_id, "secret": secret}

    def jwt(self, held: Any) -> dict[str, str]:
        """A shared secret for JWTs."""
        credential, secret = self._shared(Kind.JWT, _object(held).get("secret", ""))
        return {"kid": credential.key_id, "secret": secret, "alg": credential.algorithm}

    def callback_secret(self, held: Any) -> str:
        """The secret that signs callbacks."""
        return self._shared(Kind.CALLBACK, held or "")[1]

    def api_key(self, held: Any) -> str:
        """The whole key."""
        *_, secret = str(held or "").split("_", 2)
        for row in self._live:
            if row.kind == Kind.API_KEY and secrets.matches(secret, row.secret_hash):
                self._used.add(row.pk)
                return str(held)
        return self._issue(Kind.API_KEY)[1]

    def revoke_others(self) -> None:
        """Nobody holds the secrets of the rest."""
        for row in self._live:
            if row.pk not in self._used:
                row.revoke()

    def _shared(self, kind: str, held: str, *, profile: str = "") -> tuple[Credential, str]:
        for row in self._live:
            if row.kind == kind and row.profile == profile and held and _opens(row) == held:
                self._used.add(row.pk)
                return row, held
        return self._issue(kind, profile=profile)

    def _issue(self, kind: str, *, profile: str = "") -> tuple[Credential, str]:
        issued = issue(self._tenant, kind=kind, profile=profile, label=self._label)
        return issued.credential, issued.secret


def _opens(row: Credential) -> str | None:
    try:
        return secrets.decrypt(row.secret_encrypted)
    except secrets.UndecryptableSecret:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _admin(password: str, *, may_reset: bool) -> dict[str, str]:
    """The admin user and its password, empty where somebody has chosen another one."""
    users = get_user_model()._default_manager
    user = users.filter(**{get_user_model().USERNAME_FIELD: ADMIN}).first()
    if user is None:
        password = random.token_urlsafe(9)
        get_user_model().objects.create_superuser(ADMIN, "", password)
    elif not password and may_reset:
        password = random.token_urlsafe(9)
        user.set_password(password)
        user.save()
    elif not user.check_password(password):
        password = ""
    return {"username": ADMIN, "password": password}
