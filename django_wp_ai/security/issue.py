"""Make, rotate and revoke credentials. A secret leaves here once, in the value that made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Credential, Tenant
from django_wp_ai.models.credential import SCOPES
from django_wp_ai.security import secrets
from django_wp_ai.security.credentials import KEY_ID

DEFAULT_OVERLAP = timedelta(hours=24)
MIN_RSA_BITS = 2048
#: Kinds whose secret is not ours to make.
BROUGHT = (Credential.Kind.PUBLIC_KEY, Credential.Kind.APP_PASSWORD)


@dataclass(frozen=True, slots=True)
class Issued:
    """A stored credential and the secret we made for it in the clear: the full API key for that kind.

    Empty for a public key and for an Application Password, which WordPress made.
    """

    credential: Credential
    secret: str

    def __repr__(self) -> str:
        return f"Issued({self.credential.key_id})"


def algorithm_of(pem: str) -> str:
    """RS256, ES256 or EdDSA for a PEM public key; raises Invalid for any other key."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("The file holds no public key in PEM form.", param="public_key") from error
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise Invalid(f"An RSA key needs at least {MIN_RSA_BITS} bits.", param="public_key")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise Invalid("Supported public keys: RSA, EC P-256 and Ed25519.", param="public_key")


def normalise_public_key(text: str) -> str:
    """The public key alone in PEM form, whatever stood around it; raises Invalid, also for a private key."""
    if "PRIVATE KEY" in text:
        raise Invalid("This is a private key; it stays with the site. Give its public half.", param="public_key")
    algorithm_of(text)
    key = load_pem_public_key(text.encode())
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def issue(
    tenant: Tenant,
    *,
    kind: str,
    key_id: str = "",
    profile: str = "",
    scopes: Sequence[str] | None = None,
    public_key: str = "",
    expires_in: timedelta | None = None,
    label: str = "",
    username: str = "",
    password: str = "",
) -> Issued:
    """Store a new credential; raises Invalid for a combination that can't be.

    ``username`` and ``password`` are those of an Application Password, which is stored as WordPress showed it.
    ``key_id`` is made unless given; one that is taken raises IntegrityError, so that a form sent twice makes one.
    """
    credential = Credential(tenant=tenant, kind=kind, label=label)
    if key_id:
        credential.key_id = _key_id(key_id, kind=kind)
    if kind not in Credential.Kind.values:
        raise Invalid(f"Unknown kind {kind!r}; one of {', '.join(Credential.Kind.values)}.", param="kind")
    if scopes is not None:
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown:
            raise Invalid(f"Unknown scope(s) {', '.join(unknown)}; known: {', '.join(SCOPES)}.", param="scopes")
        credential.scopes = [scope for scope in SCOPES if scope in scopes]
    if profile and kind != Credential.Kind.HMAC:
        raise Invalid("Only an hmac credential has a profile.", param="profile")
    if public_key and kind != Credential.Kind.PUBLIC_KEY:
        raise Invalid("Only a public_key credential has a public key.", param="public_key")
    if expires_in is not None:
        if expires_in <= timedelta(0):
            raise Invalid("A credential must expire in the future.", param="expires_in")
        credential.expires_at = _moment_in(expires_in, param="expires_in")
    _shape(credential, profile=profile, public_key=public_key)
    _take_password(credential, username=username.strip(), password=password.strip())
    return _store(credential)


def _key_id(text: str, *, kind: str) -> str:
    if not KEY_ID.fullmatch(text):
        raise Invalid("A key id is 1 to 64 letters, digits, dots, colons, hyphens and underscores.", param="key_id")
    if kind == Credential.Kind.API_KEY and "_" in text:
        raise Invalid("The id of an API key has no underscore: that ends it within the key.", param="key_id")
    return text


def _moment_in(duration: timedelta, *, param: str) -> datetime:
    try:
        return timezone.now() + duration
    except OverflowError:
        raise Invalid("That is further away than the calendar goes.", param=param) from None


def _shape(credential: Credential, *, profile: str, public_key: str) -> None:
    """Give ``credential`` what belongs to its kind: profile, algorithm, public key."""
    if credential.kind == Credential.Kind.HMAC:
        credential.profile = profile or Credential.Profile.RFC9421
        if credential.profile not in Credential.Profile.values:
            raise Invalid(
                f"Unknown profile {profile!r}; one of {', '.join(Credential.Profile.values)}.", param="profile"
            )
    elif credential.kind == Credential.Kind.JWT:
        credential.algorithm = Credential.Algorithm.HS256
    elif credential.kind == Credential.Kind.PUBLIC_KEY:
        credential.public_key = normalise_public_key(public_key)
        credential.algorithm = algorithm_of(credential.public_key)


def _take_password(credential: Credential, *, username: str, password: str) -> None:
    """Give an Application Password what WordPress showed; no other kind has any of it."""
    if credential.kind != Credential.Kind.APP_PASSWORD:
        if username or password:
            raise Invalid("Only an app_password credential has a user and a password.", param="username")
        return
    if not username or ":" in username or not username.isprintable():
        raise Invalid("Give the WordPress user, without a colon.", param="username")
    if not password or not password.isprintable():
        raise Invalid("Give the Application Password as WordPress showed it.", param="password")
    credential.username = username
    credential.secret_encrypted = secrets.encrypt(password)


def _store(credential: Credential) -> Issued:
    """Give ``credential`` a fresh secret of its kind, unless it brought its own, and save it."""
    secret = ""
    if credential.kind == Credential.Kind.API_KEY:
        part = secrets.new_secret()
        credential.secret_hash = secrets.hash_secret(part)
        secret = f"{secrets.API_KEY_PREFIX}{credential.key_id}_{part}"
    elif credential.kind not in BROUGHT:
        callback = credential.kind == Credential.Kind.CALLBACK
        secret = secrets.new_callback_secret() if callback else secrets.new_secret()
        credential.secret_encrypted = secrets.encrypt(secret)
    try:
        credential.full_clean(exclude={"tenant"}, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        found = [{"field": field, "message": text} for field, texts in error.message_dict.items() for text in texts]
        raise Invalid("; ".join(f"{e['field']}: {e['message']}" for e in found), errors=found) from None
    credential.save(force_insert=True)
    return Issued(credential, secret)


def rotate(credential: Credential, *, overlap: timedelta = DEFAULT_OVERLAP) -> Issued:
    """A successor with a new key id and secret, valid as long as the old one was; that one lives on for ``overlap``."""
    if credential.kind in BROUGHT:
        noun = "A public key" if credential.kind == Credential.Kind.PUBLIC_KEY else "An Application Password"
        raise Invalid(f"{noun} is rotated by registering the new one and revoking the old.", param="key_id")
    if overlap < timedelta(0):
        raise Invalid("The overlap can't be negative.", param="overlap")
    _moment_in(overlap, param="overlap")
    with transaction.atomic():
        # Another process may have revoked it since it was read.
        credential.refresh_from_db(from_queryset=Credential.objects.select_for_update())
        if not credential.is_live():
            raise Invalid("This credential is revoked or expired; make a new one.", param="key_id")
        successor = _successor(credential)
        credential.expire_in(overlap)
        return _store(successor)


def _successor(credential: Credential) -> Credential:
    """Unsaved, without a secret, with the same rights and the same length of life."""
    expires_at = credential.expires_at
    if expires_at is not None:
        expires_at = timezone.now() + (expires_at - credential.created_at)
    return Credential(
        tenant=credential.tenant,
        kind=credential.kind,
        profile=credential.profile,
        algorithm=credential.algorithm,
        label=credential.label,
        scopes=credential.scopes,
        allowed_models=credential.allowed_models,
        cidrs=credential.cidrs,
        audience=credential.audience,
        max_lifetime_s=credential.max_lifetime_s,
        expires_at=expires_at,
    )


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """The first keys of a site, in the clear, once."""

    hmac: Issued
    jwt: Issued
    api_key: Issued
    callback: Issued

    def as_dict(self) -> dict[str, object]:
        """The shape of ``demo.json``: hmac, jwt, api_key, callback_secret."""
        return {
            "hmac": {"keyid": self.hmac.credential.key_id, "secret": self.hmac.secret},
            "jwt": {"kid": self.jwt.credential.key_id, "secret": self.jwt.secret, "alg": self.jwt.credential.algorithm},
            "api_key": self.api_key.secret,
            "callback_secret": self.callback.secret,
        }


@transaction.atomic
def issue_site_keys(tenant: Tenant) -> SiteKeys:
    """One credential of each kind a WordPress site needs."""
    return SiteKeys(
        hmac=issue(tenant, kind=Credential.Kind.HMAC),
        jwt=issue(tenant, kind=Credential.Kind.JWT),
        api_key=issue(tenant, kind=Credential.Kind.API_KEY),
        callback=issue(tenant, kind=Credential.Kind.CALLBACK),
    )
