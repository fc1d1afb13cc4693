from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from django_wp_ai.models import Credential
from django_wp_ai.models.credential import SCOPES, new_key_id
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return TenantFactory(slug="blog")


def url(tenant) -> str:
    return reverse("admin:django_wp_ai_tenant_make_credential", args=[tenant.pk])


def form(**fields):
    return {"kind": "hmac", "scopes": list(SCOPES), "key_id": new_key_id(), **fields}


def test_the_secret_is_shown_once_and_never_kept_in_the_clear(admin_client, tenant):
    page = admin_client.post(url(tenant), form(label="plugin", profile="x-sig", scopes=["chat"], expires_in_days="90"))
    credential = Credential.objects.get()
    secret = secrets.decrypt(credential.secret_encrypted)
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert (credential.tenant, credential.label, credential.profile) == (tenant, "plugin", "x-sig")
    assert credential.scopes == ["chat"]
    assert timedelta(days=89) < credential.expires_at - timezone.now() <= timedelta(days=90)
    kept = repr([*LogEntry.objects.values_list("change_message", flat=True)]) + repr(dict(admin_client.session))
    assert secret not in kept
    assert credential.key_id in kept
    assert secret not in admin_client.get(url(tenant)).content.decode()


@pytest.mark.parametrize("kind", ["jwt", "api_key", "callback"])
def test_each_kind_can_be_made(admin_client, tenant, kind):
    page = admin_client.post(url(tenant), form(kind=kind))
    credential = Credential.objects.get()
    assert credential.kind == kind
    assert credential.key_id in page.content.decode()


def test_a_second_callback_secret_is_not_offered(admin_client, tenant):
    issue(tenant, kind="callback")
    assert 'value="callback"' not in admin_client.get(url(tenant)).content.decode()
    page = admin_client.post(url(tenant), form(kind="callback"))
    assert "not one of the available choices" in page.content.decode()
    assert Credential.objects.count() == 1


def test_a_public_key_is_registered(admin_client, tenant):
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    admin_client.post(url(tenant), form(kind="public_key", public_key=public))
    credential = Credential.objects.get()
    assert (credential.algorithm, credential.public_key) == ("EdDSA", public)


def test_a_private_key_pasted_by_mistake_is_refused_and_not_sent_back(admin_client, tenant):
    private = (
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    )
    text = admin_client.post(url(tenant), form(kind="public_key", public_key=private)).content.decode()
    assert "This is a private key" in text
    assert private.splitlines()[1] not in text
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "password"}, "not one of the available choices"),
        ({"kind": ""}, "required"),
        ({"scopes": []}, "required"),
        ({"scopes": ["admin"]}, "not one of the available choices"),
        ({"kind": "jwt", "profile": "x-sig"}, "Only an hmac credential"),
        ({"kind": "public_key"}, "no public key in PEM form"),
        ({"public_key": "text"}, "Only a public_key credential"),
        ({"label": "x" * 101}, "at most 100"),
        ({"label": "a\0b"}, "Null characters"),
        ({"expires_in_days": "0"}, "greater than or equal to 1"),
        ({"expires_in_days": "99999999"}, "less than or equal to 36500"),
        ({"key_id": "../../etc"}, "Enter a valid value"),
        ({"key_id": ""}, "required"),
    ],
)
def test_a_wrong_field_is_told_and_nothing_is_made(admin_client, tenant, fields, said):
    page = admin_client.post(url(tenant), form(**fields))
    assert said in page.content.decode()
    assert not Credential.objects.exists()


def test_a_form_sent_twice_makes_one_credential(admin_client, tenant):
    sent = form()
    admin_client.post(url(tenant), sent)
    assert "was sent before" in admin_client.post(url(tenant), sent).content.decode()
    assert Credential.objects.count() == 1


def test_the_tenant_must_exist(admin_client):
    assert admin_client.get(reverse("admin:django_wp_ai_tenant_make_credential", args=[10**6])).status_code == 404


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ((), 404),
        (("view_tenant",), 403),
        (("view_tenant", "view_credential", "change_credential"), 403),
        (("add_credential",), 404),
        (("view_tenant", "add_credential"), 200),
    ],
)
def test_only_who_may_add_credentials_and_see_the_tenant_makes_one(log_in, tenant, permissions, status):
    client = log_in(*permissions)
    assert client.get(url(tenant)).status_code in (status, 403)
    answer = client.post(url(tenant), form())
    assert answer.status_code in (status, 403)
    assert Credential.objects.exists() is (status == 200)


def test_a_post_without_a_csrf_token_is_refused(log_in, tenant):
    assert log_in("view_tenant", "add_credential", csrf=True).post(url(tenant), form()).status_code == 403
    assert not Credential.objects.exists()


def test_a_visitor_is_sent_to_the_login(client, tenant):
    assert "/login/" in client.post(url(tenant), form())["Location"]
    assert not Credential.objects.exists()


def test_an_application_password_is_stored_and_never_shown(admin_client, tenant):
    secret = "abcd EFGH 1234 canary"
    page = admin_client.post(url(tenant), form(kind="app_password", username="editor", password=secret))
    assert page["Location"] == reverse("admin:django_wp_ai_tenant_change", args=[tenant.pk])
    credential = Credential.objects.get()
    assert (credential.username, secrets.decrypt(credential.secret_encrypted)) == ("editor", secret)
    change = reverse("admin:django_wp_ai_credential_change", args=[credential.pk])
    shown = admin_client.get(change)
    assert "editor" in shown.content.decode()
    assert "rotate_url" not in shown.context
    rotation = f"{reverse('admin:django_wp_ai_credential_rotate')}?id={credential.pk}"
    assert "WordPress makes Application Passwords" in admin_client.get(rotation).content.decode()
    after = admin_client.get(page["Location"]).content.decode()
    kept = repr([*LogEntry.objects.values_list("change_message", flat=True)]) + repr(dict(admin_client.session))
    assert "canary" not in shown.content.decode() + after + kept


def test_a_refused_application_password_is_not_sent_back(admin_client, tenant):
    page = admin_client.post(url(tenant), form(kind="app_password", username="a:b", password="canary"))
    text = page.content.decode()
    assert "without a colon" in text
    assert "canary" not in text
    assert not Credential.objects.exists()
