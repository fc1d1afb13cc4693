"""An Application Password: given, kept encrypted, sent to its site and never taken as a proof of who calls."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.core.management import CommandError

from django_wp_ai.exceptions import Invalid, Unauthenticated
from django_wp_ai.models import Credential
from django_wp_ai.security import secrets
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.security.issue import Issued, issue, rotate
from tests.factories import TenantFactory, envelope, make_credential, public_pem, signed
from tests.signing import LEGACY_PROFILES, fresh_claims, hs256, legacy_signature
from tests.unit.commands.conftest import Shell
from tests.unit.security.proofs import refused

pytestmark = pytest.mark.django_db

PASSWORD = "abcd efgh ijkl mnop qrst uvwx"
CREATE = ("wp_ai_credential", "create", "blog", "--kind", "app_password", "--username", "editor")


@pytest.fixture
def issued() -> Issued:
    return issue(TenantFactory.create(slug="blog"), kind="app_password", username=" editor ", password=f" {PASSWORD}\n")


def test_it_is_stored_encrypted_as_it_was_given_and_never_comes_back(issued: Issued) -> None:
    row = Credential.objects.get(pk=issued.credential.pk)
    assert (row.username, issued.secret) == ("editor", "")
    assert secrets.decrypt(row.secret_encrypted) == PASSWORD
    assert PASSWORD not in f"{issued!r}{row!r}{row}{row.__dict__}"


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({}, "username"),
        ({"username": "editor"}, "password"),
        ({"password": PASSWORD}, "username"),
        ({"username": "a:b", "password": PASSWORD}, "username"),
        ({"username": "a\nb", "password": PASSWORD}, "username"),
        ({"username": "editor", "password": " "}, "password"),
        ({"username": "editor", "password": "a\x00b"}, "password"),
        ({"username": "editor", "password": PASSWORD, "profile": "x-sig"}, "profile"),
    ],
)
def test_it_needs_a_user_and_a_password_and_has_no_profile(options: Any, param: str) -> None:
    with pytest.raises(Invalid) as caught:
        issue(TenantFactory.create(), kind="app_password", **options)
    assert caught.value.param == param
    assert PASSWORD not in str(caught.value)
    assert not Credential.objects.exists()


def test_a_username_that_is_too_long_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        issue(TenantFactory.create(), kind="app_password", username="u" * 101, password=PASSWORD)
    assert caught.value.errors[0]["field"] == "username"


@pytest.mark.parametrize("kind", ["hmac", "jwt", "api_key", "callback", "public_key"])
@pytest.mark.parametrize("given", [{"username": "editor"}, {"password": PASSWORD}], ids=["username", "password"])
def test_no_other_kind_takes_a_user_or_a_password(kind: str, given: dict[str, str]) -> None:
    public = {"public_key": public_pem(ed25519.Ed25519PrivateKey.generate())} if kind == "public_key" else {}
    with pytest.raises(Invalid) as caught:
        issue(TenantFactory.create(), kind=kind, **public, **given)
    assert caught.value.param == "username"


def test_it_is_not_rotated_by_making_up_another(issued: Issued) -> None:
    with pytest.raises(Invalid, match="registering the new one"):
        rotate(issued.credential)
    assert Credential.objects.get().expires_at is None


def proofs(credential: Credential, secret: str) -> Iterator[Envelope]:
    """Everything that an inbound call could make of a password."""
    body, key_id = b'{"prompt": "hi"}', credential.key_id
    for user in (credential.username, key_id):
        pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
        yield envelope({"Authorization": f"Basic {pair}"})
    for key in (secret, f"wpai_{key_id}_{secret}"):
        yield envelope({"Authorization": f"Bearer {key}"})
        yield envelope({"X-API-Key": key})
    for claims in ({}, {"iss": credential.tenant.site_url}, {"sub": credential.tenant.slug}):
        for header in ({"kid": key_id}, {}):
            yield envelope({"Authorization": f"Bearer {hs256(secret, fresh_claims(**claims), **header)}"})
    yield signed(Issued(credential, secret), body=body)
    for profile in LEGACY_PROFILES:
        for hint in (key_id, credential.tenant.slug):
            yield envelope(legacy_signature(profile, secret, body, site_id=hint), body=body)


def test_it_proves_nothing_to_us_in_any_way(issued: Issued) -> None:
    sent = list(proofs(issued.credential, PASSWORD))
    assert len(sent) > 25
    for request in sent:
        refused(request)


def test_the_same_ways_of_proving_work_with_a_credential_of_their_own() -> None:
    found = set()
    for kind, profile in (("hmac", ""), ("jwt", ""), ("hmac", "x-sig"), ("hmac", "site-id")):
        made = make_credential(kind, profile=profile)
        for request in proofs(made.credential, made.secret):
            with suppress(Unauthenticated):
                found.add(authenticate(request).method)
    assert found == {"rfc9421", "jwt", "x-sig", "site-id"}


def test_the_command_reads_it_from_standard_input_and_prints_it_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    TenantFactory.create(slug="blog")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\nmore"))
    shell = Shell()
    made = shell.run(*CREATE, "--password-file", "-")
    assert "editor" in made
    assert PASSWORD not in made
    assert secrets.decrypt(Credential.objects.get().secret_encrypted) == PASSWORD


def test_the_command_reads_it_from_a_file_lists_and_revokes_it(tmp_path: Path) -> None:
    TenantFactory.create(slug="blog")
    (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    shell = Shell()
    made = shell.json(*CREATE, "--password-file", str(tmp_path / "password"))
    assert (made["kind"], made["username"], "secret" in made) == ("app_password", "editor", False)
    [listed] = shell.json("wp_ai_credential", "list", "blog")
    assert (listed["kind"], listed["username"], listed["status"]) == ("app_password", "editor", "live")
    with pytest.raises(CommandError, match="Application Password is rotated by registering"):
        shell.run("wp_ai_credential", "rotate", made["keyid"])
    assert shell.json("wp_ai_credential", "revoke", made["keyid"])["status"] == "revoked"


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "Give the Application Password"), ("x" * 201, "longer than 200"), ("é\udcff", "holds no text")],
    ids=["empty", "long", "binary"],
)
def test_a_file_without_a_usable_password_is_refused(tmp_path: Path, content: str, said: str) -> None:
    TenantFactory.create(slug="blog")
    file = tmp_path / "password"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CommandError, match=said):
        Shell().run(*CREATE, "--password-file", str(file))
    assert not Credential.objects.exists()


def test_a_missing_file_and_a_missing_option_are_told(tmp_path: Path) -> None:
    TenantFactory.create(slug="blog")
    with pytest.raises(CommandError, match="can't be read: No such file"):
        Shell().run(*CREATE, "--password-file", str(tmp_path / "missing"))
    with pytest.raises(CommandError, match="Give the Application Password"):
        Shell().run(*CREATE)
