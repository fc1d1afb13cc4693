"""Secrets at rest: what we must use is encrypted (Fernet, key rotation), what we only verify is hashed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random
import zlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import force_bytes

from django_wp_ai.conf import settings

API_KEY_PREFIX = "wpai_"
CALLBACK_PREFIX = "whsec_"


class UndecryptableSecret(ImproperlyConfigured):
    """No configured encryption key opens a stored secret."""


def derive_key(purpose: str, secret: str | bytes) -> bytes:
    """32 bytes for one purpose from a long secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"django-wp-ai {purpose}".encode()).derive(
        force_bytes(secret)
    )


def current_key(purpose: str) -> bytes:
    """32 bytes for one purpose from the newest secret of this installation; another one after a rotation."""
    return _current_key(purpose, (*settings.encryption_keys, django_settings.SECRET_KEY)[0])


_current_key = lru_cache(maxsize=32)(derive_key)


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...], fallbacks: tuple[str | bytes, ...]) -> MultiFernet:
    try:
        configured = [Fernet(key) for key in keys]
    except ValueError as error:
        raise ImproperlyConfigured(
            "DJANGO_WP_AI['ENCRYPTION_KEYS'] must hold Fernet keys (32 bytes, url-safe base64)."
        ) from error
    derived = [Fernet(base64.urlsafe_b64encode(derive_key("secrets", secret))) for secret in fallbacks]
    return MultiFernet(configured + derived)


def cipher() -> MultiFernet:
    """Encrypts with the first configured key, else with one derived from SECRET_KEY (a check warns).

    The derived keys still open what was stored before the first key was configured.
    """
    return _cipher(settings.encryption_keys, (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS))


def encrypt(secret: str) -> str:
    """Text as stored."""
    return cipher().encrypt(secret.encode()).decode()


@lru_cache(maxsize=4096)
def _decrypt(stored: str, current: MultiFernet) -> str:
    return current.decrypt(stored).decode()


def decrypt(stored: str) -> str:
    """The secret; raises UndecryptableSecret when no key opens it."""
    current = cipher()
    try:
        return _decrypt(stored, current)
    except (InvalidToken, ValueError):  # the latter for what is not even ASCII
        raise _undecryptable() from None


def reencrypt(stored: str) -> str:
    """The same secret under the newest key; raises UndecryptableSecret when no key opens it."""
    current = cipher()
    try:
        return current.rotate(stored.encode()).decode()
    except InvalidToken:
        raise _undecryptable() from None


def seal(content: bytes) -> bytes:
    """Content as stored: compressed, then encrypted; ASCII."""
    return cipher().encrypt(zlib.compress(content, 1))


def unseal(stored: bytes) -> bytes:
    """What was sealed; raises UndecryptableSecret when no key opens it."""
    try:
        return zlib.decompress(cipher().decrypt(stored))
    except (InvalidToken, zlib.error):
        raise _undecryptable() from None


def _undecryptable() -> UndecryptableSecret:
    return UndecryptableSecret(
        "A stored secret can't be decrypted: put the key that encrypted it into DJANGO_WP_AI['ENCRYPTION_KEYS']."
    )


def new_secret() -> str:
    """A shared secret of 256 random bits, url-safe."""
    return random.token_urlsafe(32)


def new_callback_secret() -> str:
    """A Standard Webhooks secret: ``whsec_`` and 24 random bytes in base64."""
    return CALLBACK_PREFIX + base64.b64encode(random.token_bytes(24)).decode()


def hash_secret(secret: str) -> str:
    """SHA-256 hex: enough for secrets of 256 random bits, which no guessing reaches."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def matches(secret: str, stored_hash: str) -> bool:
    """Constant-time comparison of a presented secret with a stored hash."""
    return hmac.compare_digest(hash_secret(secret), stored_hash)
