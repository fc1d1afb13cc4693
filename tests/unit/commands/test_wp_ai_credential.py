from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError
from django.utils import timezone

from django_wp_ai.models import Credential
from django_wp_ai.models.credential import SCOPES
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue, issue_site_keys
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return TenantFactory(slug="blog")


def pem(private) -> bytes:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(private) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_an_hmac_credential_gets_the_native_profile_and_all_scopes(shell, tenant):
    made = shell.json("wp_ai_credential", "create", "blog", "--kind", "hmac")
    credential = Credential.objects.get(key_id=made["keyid"])
    assert (made["profile"], made["scopes"], made["expires_at"]) == ("rfc9421", list(SCOPES), None)
    assert secrets.decrypt(credential.secret_encrypted) == made["secret"]
    assert credential.tenant == tenant


def test_a_profile_and_scopes_are_kept(shell, tenant):
    words = ["wp_ai_credential", "create", "blog", "--kind", "hmac", "--profile", "x-sig", "--scopes", "jobs,chat"]
    made = shell.json(*words, "usage")
    assert (made["profile"], made["scopes"]) == ("x-sig", ["chat", "jobs", "usage"])


def test_a_jwt_credential_names_kid_and_alg(shell, tenant):
    made = shell.json("wp_ai_credential", "create", "blog", "--kind", "jwt")
    assert (made["kid"], made["alg"]) == (made["keyid"], "HS256")


def test_an_api_key_is_printed_whole(shell, tenant):
    made = shell.json("wp_ai_credential", "create", "blog", "--kind", "api_key")
    assert made["api_key"] == made["secret"]
    assert made["api_key"].startswith(f"wpai_{made['keyid']}_")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("90d", timedelta(days=90)),
    ],
)
def test_a_credential_expires_after_the_given_time(shell, tenant, text, length):
    before = timezone.now()
    made = shell.json("wp_ai_credential", "create", "blog", "--kind", "jwt", "--expires-in", text)
    expires_at = Credential.objects.get(key_id=made["keyid"]).expires_at
    assert before + length <= expires_at <= timezone.now() + length


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["rsa", "p256", "ed25519"],
)
def test_a_public_key_is_registered_with_its_algorithm_and_has_no_secret(shell, tenant, tmp_path, private, algorithm):
    file = tmp_path / "key.pem"
    file.write_bytes(b"a comment above\n" + pem(private))
    made = shell.json("wp_ai_credential", "create", "blog", "--kind", "public_key", "--public-key", str(file))
    assert (made["alg"], "secret" in made) == (algorithm, False)
    assert Credential.objects.get().public_key == pem(private).decode()


def test_a_private_key_given_by_mistake_is_refused_and_not_repeated(shell, tenant, tmp_path):
    private = ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(pem(private) + private_pem(private))
    with pytest.raises(CommandError, match="private key") as caught:
        shell.run("wp_ai_credential", "create", "blog", "--kind", "public_key", "--public-key", str(file))
    assert private_pem(private).decode().splitlines()[1] not in str(caught.value)
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "needs --public-key"),
        (b"canary-content", "no public key"),
        (b"canary-content\xff\x00", "no public key"),
        (b"canary-content" * 10_000, "larger"),
        (pem(rsa.generate_private_key(65537, 1024)), "2048 bits"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "Supported public keys"),
    ],
    ids=["empty", "text", "binary", "huge", "short-rsa", "p384"],
)
def test_a_file_without_a_usable_public_key_is_refused_without_its_content(shell, tenant, tmp_path, content, said):
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=said) as caught:
        shell.run("wp_ai_credential", "create", "blog", "--kind", "public_key", "--public-key", str(file))
    assert "canary" not in str(caught.value)
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["blog"], "required"),
        (["blog", "--kind", "callback"], "invalid choice"),
        (["blog", "--kind", "password"], "invalid choice"),
        (["blog", "--kind", "hmac", "--profile", "nonsense"], "invalid choice"),
        (["blog", "--kind", "jwt", "--profile", "x-sig"], "Only an hmac"),
        (["blog", "--kind", "jwt", "--scopes", "chat,admin"], r"Unknown scope\(s\) admin"),
        (["blog", "--kind", "jwt", "--scopes", "none"], "scopes"),
        (["blog", "--kind", "jwt", "--expires-in", "0d"], "future"),
        (["blog", "--kind", "jwt", "--expires-in", "-1d"], "expected one argument|duration"),
        (["blog", "--kind", "jwt", "--expires-in", "9" * 40 + "d"], "not a duration"),
        (["blog", "--kind", "jwt", "--expires-in", "999999999999d"], "too long"),
        (["blog", "--kind", "jwt", "--expires-in", "90"], "not a duration"),
        (["blog", "--kind", "public_key"], "needs --public-key"),
        (["blog", "--kind", "public_key", "--public-key", "missing.pem"], "can't be read: No such file"),
        (["blog", "--kind", "public_key", "--public-key", "."], "can't be read: Is a directory"),
        (["blog", "--kind", "public_key", "--public-key", "a\0b"], "can't be read"),
        (["nobody", "--kind", "jwt"], "There is no tenant"),
    ],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_wrong_option_is_one_line_and_nothing_is_made(shell, tenant, options, said, as_json):
    with pytest.raises(CommandError, match=said) as caught:
        shell.run("wp_ai_credential", "create", *options, *as_json)
    assert "\n" not in str(caught.value)
    assert not Credential.objects.exists()


def test_a_public_key_belongs_to_its_kind_only(shell, tenant, tmp_path):
    file = tmp_path / "key.pem"
    file.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(CommandError, match="Only a public_key credential"):
        shell.run("wp_ai_credential", "create", "blog", "--kind", "jwt", "--public-key", str(file))


@pytest.mark.parametrize("kind", ["hmac", "jwt", "api_key", "callback"])
def test_rotate_makes_a_successor_and_ends_the_old_one_after_the_overlap(shell, tenant, kind):
    old = issue(tenant, kind=kind)
    made = shell.json("wp_ai_credential", "rotate", old.credential.key_id, "--overlap", "15m")
    old.credential.refresh_from_db()
    successor = Credential.objects.get(key_id=made["keyid"])
    assert successor.kind == kind
    assert made["secret"] != old.secret
    assert made["replaces"]["keyid"] == old.credential.key_id
    left = old.credential.expires_at - timezone.now()
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert successor.is_live()


def test_rotate_overlaps_a_day_unless_told_otherwise(shell, tenant):
    old = issue(tenant, kind="jwt").credential
    shell.run("wp_ai_credential", "rotate", old.key_id)
    old.refresh_from_db()
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(hours=24)


def test_a_revoked_credential_and_a_public_key_can_not_be_rotated(shell, tenant):
    revoked = issue(tenant, kind="jwt").credential
    revoked.revoke()
    public = issue(tenant, kind="public_key", public_key=pem(ed25519.Ed25519PrivateKey.generate()).decode()).credential
    for credential, said in ((revoked, "revoked or expired"), (public, "registering the new one")):
        with pytest.raises(CommandError, match=said):
            shell.run("wp_ai_credential", "rotate", credential.key_id, "--json")
    assert Credential.objects.count() == 2


def test_revoke_stops_at_once_and_may_be_repeated(shell, tenant):
    credential = issue(tenant, kind="jwt").credential
    first = shell.json("wp_ai_credential", "revoke", credential.key_id)
    again = shell.json("wp_ai_credential", "revoke", credential.key_id)
    assert first["status"] == "revoked"
    assert first["revoked_at"] == again["revoked_at"]
    assert not Credential.objects.live().exists()


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_an_unknown_key_id_is_refused_without_repeating_what_may_be_a_secret(shell, tenant, verb):
    whole_key = issue(tenant, kind="api_key").secret
    with pytest.raises(CommandError, match="no credential with this key id") as caught:
        shell.run("wp_ai_credential", verb, whole_key)
    assert whole_key not in str(caught.value)


def test_list_shows_states_and_no_secret(shell, tenant):
    keys = issue_site_keys(tenant)
    keys.hmac.credential.revoke()
    keys.jwt.credential.expire_in(timedelta(0))
    Credential.objects.filter(pk=keys.api_key.credential.pk).update(not_before=timezone.now() + timedelta(hours=1))
    issue(TenantFactory(), kind="jwt")
    rows = shell.json("wp_ai_credential", "list", "blog")
    states = {row["kind"]: row["status"] for row in rows}
    assert states == {"hmac": "revoked", "jwt": "expired", "api_key": "not_yet", "callback": "live"}
    printed = shell.run("wp_ai_credential", "list", "blog") + json.dumps(rows)
    for issued in (keys.hmac, keys.jwt, keys.api_key, keys.callback):
        assert issued.secret not in printed
        assert issued.credential.key_id in printed


def test_list_of_a_deactivated_tenant_says_that_all_are_refused(shell, tenant):
    assert "no credentials" in shell.run("wp_ai_credential", "list", "blog")
    tenant.is_active = False
    tenant.save()
    assert "all of its credentials are refused" in shell.run("wp_ai_credential", "list", "blog")
