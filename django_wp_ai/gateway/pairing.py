"""Pairing: an operator makes a code, the site's plugin turns it into its keys, once. Source: PROTOCOL §1.

Keys of an earlier pairing stay as they are: a site that is moved or restored goes on working until its operator revokes
what is no longer needed. The callback secret is the tenant's one: two would leave a site guessing which of them signs.
"""

from __future__ import annotations

import hashlib
import logging
import secrets as random
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from django_wp_ai.exceptions import Invalid, Unauthenticated
from django_wp_ai.models import AuthFailureCount, Credential, PairingCode, Tenant
from django_wp_ai.models.tenant import normalise_url
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue

logger = logging.getLogger("django_wp_ai.gateway")

LIFETIME = timedelta(minutes=10)
METHOD = "pairing"
GROUPS, GROUP_LENGTH = 5, 4  # 100 random bits
#: Crockford's base 32: no letter is taken for a digit when the code is read out.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("OIL", "011", "- \t\u00a0\u2010\u2011\u2013")
_IS_WEB_URL = URLValidator(schemes=["http", "https"])


@dataclass(frozen=True, slots=True)
class MadeCode:
    """A code in the clear, which is shown once, and when it ends."""

    code: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"MadeCode({self.expires_at})"


@dataclass(frozen=True, slots=True)
class Paired:
    """A site's new keys in the clear, once."""

    tenant: Tenant
    signing: Credential
    signing_secret: str
    api_key: str
    callback_secret: str

    def __repr__(self) -> str:
        return f"Paired({self.tenant.slug}, {self.signing.key_id})"


@transaction.atomic
def make(tenant: Tenant) -> MadeCode:
    """Blocking: a new code for a tenant; one that was made before and not used is void from now on."""
    if not tenant.is_active:
        raise Invalid("The tenant is deactivated, so no site can be paired with it.")
    code = "-".join(
        "".join(random.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS)
    )  # 32 letters of equal chance
    expires_at = timezone.now() + LIFETIME
    PairingCode.objects.for_tenant(tenant).filter(used_at=None).delete()
    PairingCode.objects.create(tenant=tenant, code_hash=_hash(code), expires_at=expires_at)
    return MadeCode(code, expires_at)


def redeem(code: str, *, site_url: str, callback_url: str = "", plugin_version: str = "") -> Paired:
    """Blocking: spend the code and issue the site's keys, or do nothing.

    Raises Unauthenticated for a code that is unknown, used, out of time or of a tenant that is off, all told the same;
    Invalid for a site that is not the tenant's, which leaves the code as it was.
    """
    site, callback = _site(site_url), _callback(callback_url)
    try:
        with transaction.atomic():
            spent = _spend(code, site_url=site, plugin_version=plugin_version)
            tenant = Tenant.objects.select_for_update().get(pk=spent.tenant_id)
            if not tenant.is_active:
                raise Unauthenticated(reason="inactive", method=METHOD)
            _remember(tenant, site, callback)
            paired = _issue(tenant, plugin_version)
    except Unauthenticated as error:
        AuthFailureCount.objects.add(method=error.method, reason=error.reason)
        raise Unauthenticated("The code is unknown, used or out of time.", reason=error.reason, method=METHOD) from None
    logger.info("site paired", extra={"tenant": tenant.slug, "keyid": paired.signing.key_id})
    return paired


def _hash(code: str) -> str:
    """Of the code as it was meant: letter case, dashes and letters that look like digits make no difference."""
    plain = code.upper().translate(_MISREAD)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def _spend(code: str, *, site_url: str, plugin_version: str) -> PairingCode:
    """Take the code, which one of many at once can do: the condition is on the row alone, and looked at again by each.

    An unknown code costs what a known one does: one statement, by a hash of which no beginning can be guessed.
    """
    now = timezone.now()
    code_hash = _hash(code)
    usable = PairingCode.objects.filter(code_hash=code_hash, used_at=None, expires_at__gt=now)
    if not usable.update(used_at=now, site_url=site_url, plugin_version=plugin_version):
        raise Unauthenticated(reason="unknown_code", method=METHOD)
    return PairingCode.objects.get(code_hash=code_hash)


def _remember(tenant: Tenant, site: str, callback: str) -> None:
    """Check the site against the tenant's and keep what is new.

    The callback's host becomes one that may be reached wherever it is only where the operator had named the site it
    belongs to. Any other is reached at public addresses; a code must not open the network behind this server.
    """
    changed = {"updated_at"}
    if not tenant.site_url:
        if Tenant.objects.filter(site_url=site).exclude(pk=tenant.pk).exists():
            raise _invalid("site_url", "This URL belongs to another site here.")
        tenant.site_url = site
        changed.add("site_url")
    elif tenant.site_url != site:
        raise _invalid("site_url", "The code was made for a site with another URL.")
    elif (
        (host := urlsplit(callback).hostname) and host == urlsplit(site).hostname and host not in tenant.callback_hosts
    ):
        tenant.callback_hosts = [*tenant.callback_hosts, host]
        changed.add("callback_hosts")
    if callback:
        tenant.callback_url = callback
        changed.add("callback_url")
    tenant.save(update_fields=changed)


def _issue(tenant: Tenant, plugin_version: str) -> Paired:
    label = f"paired, plugin {plugin_version}" if plugin_version else "paired"
    signing = issue(tenant, kind=Credential.Kind.HMAC, label=label)
    api_key = issue(tenant, kind=Credential.Kind.API_KEY, label=label)
    return Paired(tenant, signing.credential, signing.secret, api_key.secret, _callback_secret(tenant, label))


def _callback_secret(tenant: Tenant, label: str) -> str:
    """The one that signs callbacks from now on: after a rotation, the successor."""
    of_kind = Credential.objects.for_tenant(tenant).live().filter(kind=Credential.Kind.CALLBACK)
    known = of_kind.order_by(F("expires_at").desc(nulls_first=True), "-created_at").first()
    if known is None:
        return issue(tenant, kind=Credential.Kind.CALLBACK, label=label).secret
    return secrets.decrypt(known.secret_encrypted)


def _site(url: str) -> str:
    """A site URL in its compared form; raises Invalid."""
    checked = _web_url("site_url", url)
    parts = urlsplit(checked)
    if parts.query or parts.fragment:
        raise _invalid("site_url", "A site's URL has no query and no fragment.")
    return normalise_url(checked)


def _callback(url: str) -> str:
    return _web_url("callback_url", url) if url.strip() else ""


def _web_url(name: str, url: str) -> str:
    text = url.strip()
    try:
        _IS_WEB_URL(text)
        parts = urlsplit(text)
    except (ValidationError, ValueError):
        raise _invalid(name, "Give a URL that begins with http:// or https://.") from None
    if parts.username is not None or parts.password is not None:
        raise _invalid(name, "The URL must not hold a user name or a password.")
    return text


def _invalid(name: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": name, "message": message}], param=name)
