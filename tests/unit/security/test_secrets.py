"""Secrets at rest: encrypted under keys that change, hashed where hashing is enough."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.security import secrets
from django_wp_ai.security.authenticate import authenticate
from tests.factories import make_credential, signed

FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def use(settings: Any, *keys: str, secret_key: str = "a" * 50, fallbacks: tuple[str, ...] = ()) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": list(keys)}
    settings.SECRET_KEY = secret_key
    settings.SECRET_KEY_FALLBACKS = list(fallbacks)


def test_what_is_stored_does_not_hold_the_secret(settings: Any) -> None:
    use(settings, FIRST)
    stored = secrets.encrypt("the-secret")
    assert "the-secret" not in stored
    assert b"the-secret" not in base64.urlsafe_b64decode(stored)
    assert secrets.encrypt("the-secret") != stored
    assert secrets.decrypt(stored) == "the-secret"


def test_an_old_key_still_opens_and_a_new_one_encrypts(settings: Any) -> None:
    use(settings, FIRST)
    stored = secrets.encrypt("s")
    use(settings, SECOND, FIRST)
    assert secrets.decrypt(stored) == "s"
    again = secrets.reencrypt(stored)
    use(settings, SECOND)
    assert secrets.decrypt(again) == "s"
    for use_it in (secrets.decrypt, secrets.reencrypt):
        with pytest.raises(secrets.UndecryptableSecret, match="ENCRYPTION_KEYS") as caught:
            use_it(stored)
        assert stored not in str(caught.value)


def test_without_keys_they_are_made_from_the_secret_key_and_its_fallbacks(settings: Any) -> None:
    use(settings, secret_key="b" * 50)
    stored = secrets.encrypt("s")
    use(settings, secret_key="c" * 50, fallbacks=("b" * 50,))
    assert secrets.decrypt(stored) == "s"
    again = secrets.reencrypt(stored)
    use(settings, secret_key="c" * 50)
    assert secrets.decrypt(again) == "s"
    with pytest.raises(secrets.UndecryptableSecret):
        secrets.decrypt(stored)


def test_the_first_configured_key_does_not_lock_out_what_was_stored_before(settings: Any) -> None:
    use(settings)
    stored = secrets.encrypt("s")
    use(settings, FIRST)
    assert secrets.decrypt(stored) == "s"
    again = secrets.reencrypt(stored)
    use(settings, FIRST, secret_key="d" * 50)
    assert secrets.decrypt(again) == "s"


@pytest.mark.parametrize(
    "key", ["", "short", "ü" * 44, FIRST[:-4], "!" * 44], ids=["empty", "short", "umlauts", "cut", "marks"]
)
def test_a_key_that_is_none_is_a_clear_error_that_does_not_show_it(settings: Any, key: str) -> None:
    use(settings, FIRST, key)
    with pytest.raises(ImproperlyConfigured, match="must hold Fernet keys") as caught:
        secrets.encrypt("s")
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("stored", ["", "gAAAAA", "plain text", "ü"])
def test_a_damaged_row_is_an_error_that_says_what_to_do(stored: str) -> None:
    with pytest.raises(secrets.UndecryptableSecret, match="can't be decrypted"):
        secrets.decrypt(stored)


def test_a_secret_key_may_be_bytes() -> None:
    assert secrets.derive_key("a", "key") == secrets.derive_key("a", b"key")
    assert secrets.derive_key("a", "key") != secrets.derive_key("b", "key")


@pytest.mark.django_db
def test_a_lost_key_is_the_operators_error_and_not_the_sites(settings: Any) -> None:
    use(settings, FIRST)
    issued = make_credential()
    authenticate(signed(issued))
    use(settings, SECOND)
    with pytest.raises(secrets.UndecryptableSecret, match="ENCRYPTION_KEYS"):
        authenticate(signed(issued))


def test_new_secrets_are_long_and_never_the_same() -> None:
    assert len({secrets.new_secret() for _ in range(100)}) == 100
    assert len(base64.urlsafe_b64decode(secrets.new_secret() + "=")) == 32
    made = secrets.new_callback_secret()
    assert made.startswith("whsec_")
    assert len(base64.b64decode(made.removeprefix("whsec_"))) == 24


def test_a_hash_matches_its_secret_alone() -> None:
    stored = secrets.hash_secret("s")
    assert secrets.matches("s", stored)
    for wrong in ("S", "", "s ", stored, "\ud800"):
        assert not secrets.matches(wrong, stored)
