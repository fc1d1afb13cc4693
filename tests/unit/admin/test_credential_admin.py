from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_wp_ai.admin.lifecycle import MAX_AT_ONCE, seen_state
from django_wp_ai.models import Credential
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue, issue_site_keys
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/credential/"


@pytest.fixture
def tenant():
    return TenantFactory(slug="blog")


@pytest.fixture
def credential(tenant):
    return issue(tenant, kind="hmac", label="main").credential


def page_of(verb: str, *credentials: Credential) -> str:
    query = "&".join(f"id={credential.pk}" for credential in credentials)
    return f"{reverse(f'admin:django_wp_ai_credential_{verb}')}?{query}"


def seen(*credentials: Credential) -> dict[str, list[str]]:
    return {"seen": [seen_state(credential) for credential in credentials]}


def change_url(credential: Credential) -> str:
    return reverse("admin:django_wp_ai_credential_change", args=[credential.pk])


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_looking_at_the_confirmation_changes_nothing(admin_client, credential, verb):
    text = admin_client.get(page_of(verb, credential)).content.decode()
    assert credential.key_id in text
    assert 'method="post"' in text
    assert Credential.objects.get().expires_at is None
    assert Credential.objects.get().revoked_at is None


def test_rotation_shows_the_new_secret_once_and_lets_the_old_one_live_a_day(admin_client, credential):
    page = admin_client.post(page_of("rotate", credential), seen(credential))
    successor = Credential.objects.exclude(pk=credential.pk).get()
    secret = secrets.decrypt(successor.secret_encrypted)
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    credential.refresh_from_db()
    assert timedelta(hours=23) < credential.expires_at - timezone.now() <= timedelta(hours=24)
    log = LogEntry.objects.get()
    assert successor.key_id in log.change_message
    assert secret not in log.change_message
    assert secret not in repr(dict(admin_client.session))
    for address in (LIST, change_url(successor), f"{LIST}{credential.pk}/history/"):
        assert secret not in admin_client.get(address).content.decode()


def test_several_are_rotated_on_one_page_and_name_their_tenants(admin_client, credential):
    other = issue(TenantFactory(name="Other site"), kind="api_key").credential
    text = admin_client.post(page_of("rotate", credential, other), seen(credential, other)).content.decode()
    assert Credential.objects.count() == 4
    assert "Other site" in text


def test_a_confirmation_sent_twice_rotates_once(admin_client, credential):
    form = seen(credential)
    admin_client.post(page_of("rotate", credential), form)
    again = admin_client.post(page_of("rotate", credential), form, follow=True)
    assert "Nothing was done" in again.content.decode()
    assert Credential.objects.count() == 2


def test_a_confirmation_without_what_was_seen_does_nothing(admin_client, credential):
    for verb in ("rotate", "revoke"):
        answer = admin_client.post(page_of(verb, credential), follow=True)
        assert "Nothing was done" in answer.content.decode()
    assert Credential.objects.get().is_live()
    assert Credential.objects.get().expires_at is None


def test_revocation_stops_the_credential_and_is_logged(admin_client, credential):
    answer = admin_client.post(page_of("revoke", credential), seen(credential), follow=True)
    assert "1 credential is revoked." in answer.content.decode()
    credential.refresh_from_db()
    assert not credential.is_live()
    assert LogEntry.objects.get().change_message == "Revoked."


def test_what_can_not_be_rotated_is_told_before_and_refused_after(admin_client, tenant, credential):
    credential.revoke()
    live = issue(tenant, kind="jwt").credential
    text = admin_client.get(page_of("rotate", credential, live)).content.decode()
    assert "It is not live" in text
    assert 'type="submit"' not in text.partition('id="content-main"')[2]
    answer = admin_client.post(page_of("rotate", credential, live), seen(credential, live), follow=True)
    assert "revoked or expired" in answer.content.decode()
    assert Credential.objects.count() == 2
    live.refresh_from_db()
    assert live.expires_at is None


@pytest.mark.parametrize("query", ["", "?id=", "?id=x", "?id=0", "?id=99999999", "?id=1' or 1=1", "?id=" + "9" * 30])
@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_a_wrong_id_is_not_found(admin_client, credential, verb, query):
    address = reverse(f"admin:django_wp_ai_credential_{verb}")
    assert admin_client.get(address + query).status_code == 404
    assert admin_client.post(address + query).status_code == 404


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_the_action_leads_to_the_confirmation(admin_client, tenant, credential, verb):
    other = issue(tenant, kind="jwt").credential
    chosen = {"action": f"{verb}_selected", "_selected_action": [credential.pk, other.pk]}
    answer = admin_client.post(LIST, chosen)
    assert answer["Location"] == page_of(verb, credential, other)
    assert Credential.objects.live().count() == 2


def test_an_action_on_too_many_is_refused(admin_client, tenant):
    made = [issue(tenant, kind="jwt").credential.pk for _ in range(MAX_AT_ONCE + 1)]
    answer = admin_client.post(LIST, {"action": "revoke_selected", "_selected_action": made, "select_across": "1"})
    assert "100 credentials at most" in admin_client.get(answer["Location"]).content.decode()
    assert Credential.objects.live().count() == len(made)


def test_a_viewer_sees_credentials_and_can_neither_rotate_nor_revoke(viewer, credential):
    text = viewer.get(change_url(credential)).content.decode()
    assert credential.key_id in text
    assert "Rotate" not in text
    assert "Revoke</a>" not in text
    assert "rotate_selected" not in viewer.get(LIST).content.decode()
    for verb in ("rotate", "revoke"):
        assert viewer.get(page_of(verb, credential)).status_code == 403
        assert viewer.post(page_of(verb, credential), seen(credential)).status_code == 403
        viewer.post(LIST, {"action": f"{verb}_selected", "_selected_action": [credential.pk]})
    assert Credential.objects.get().is_live()


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_strangers_and_other_staff_are_refused(client, log_in, credential, verb):
    assert "/login/" in client.post(page_of(verb, credential), seen(credential))["Location"]
    for permissions in ((), ("view_tenant", "change_tenant"), ("add_credential", "delete_credential")):
        assert log_in(*permissions).post(page_of(verb, credential), seen(credential)).status_code in (403, 404)
    assert Credential.objects.get().is_live()


def test_who_may_change_credentials_may_rotate_and_revoke(log_in, credential):
    client = log_in("view_credential", "change_credential")
    text = client.get(change_url(credential)).content.decode()
    assert page_of("rotate", credential) in text
    assert page_of("revoke", credential) in text
    assert client.post(page_of("rotate", credential), seen(credential)).status_code == 200
    credential.refresh_from_db()
    assert client.post(page_of("revoke", credential), seen(credential)).status_code == 302


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_a_post_without_a_csrf_token_is_refused(log_in, credential, verb):
    client = log_in("view_credential", "change_credential", csrf=True)
    assert client.post(page_of(verb, credential), seen(credential)).status_code == 403
    assert Credential.objects.get().is_live()


def test_limits_of_a_credential_can_be_changed_and_its_identity_can_not(admin_client, credential):
    form = {"label": "renamed", "scopes": ["chat"], "cidrs": "203.0.113.0/24\n2001:db8::/32", "kind": "jwt"}
    answer = admin_client.post(change_url(credential), {**form, "key_id": "stolen", "secret_encrypted": "x"})
    assert answer.status_code == 302
    before = credential.secret_encrypted
    credential.refresh_from_db()
    assert (credential.label, credential.scopes) == ("renamed", ["chat"])
    assert credential.cidrs == ["203.0.113.0/24", "2001:db8::/32"]
    assert (credential.kind, credential.key_id != "stolen", credential.secret_encrypted) == ("hmac", True, before)


def test_a_wrong_network_is_told(admin_client, credential):
    page = admin_client.post(change_url(credential), {"scopes": ["chat"], "cidrs": "not a network"})
    assert "Give a list of networks" in page.content.decode()


def test_a_revoked_credential_is_a_record(admin_client, credential):
    credential.revoke()
    text = admin_client.get(change_url(credential)).content.decode()
    assert 'name="label"' not in text
    assert page_of("rotate", credential) not in text
    admin_client.post(change_url(credential), {"label": "changed"})
    credential.refresh_from_db()
    assert credential.label == "main"


def test_a_credential_is_neither_added_nor_deleted_by_hand(admin_client, credential):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{credential.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Credential.objects.exists()


def test_the_list_filters_by_state_and_finds_by_key_id_label_and_tenant(admin_client, tenant):
    keys = issue_site_keys(tenant)
    keys.hmac.credential.revoke()
    keys.jwt.credential.expire_in(timedelta(0))
    Credential.objects.filter(pk=keys.api_key.credential.pk).update(not_before=timezone.now() + timedelta(hours=1))

    def found(**query: str) -> set[str]:
        return {credential.kind for credential in admin_client.get(LIST, query).context["cl"].result_list}

    assert found(status="revoked") == {"hmac"}
    assert found(status="expired") == {"jwt"}
    assert found(status="not_yet") == {"api_key"}
    assert found(status="live") == {"callback"}
    assert found(status="nonsense") == {"hmac", "jwt", "api_key", "callback"}
    assert found(kind__exact="jwt", tenant__id__exact=str(tenant.pk)) == {"jwt"}
    assert found(q=keys.jwt.credential.key_id) == {"jwt"}
    assert found(q="blog") == {"hmac", "jwt", "api_key", "callback"}
    assert {row.status() for row in Credential.objects.with_status("expired")} == {Credential.Status.EXPIRED}


def test_an_unknown_state_is_an_error_in_code():
    with pytest.raises(ValueError, match="Unknown status"):
        Credential.objects.with_status("nonsense")


@pytest.mark.parametrize("lookup", ["secret_hash__startswith", "secret_encrypted__contains", "public_key__contains"])
def test_the_url_can_not_spell_out_a_secret_column(admin_client, credential, lookup):
    assert admin_client.get(LIST, {lookup: "a"}).status_code == 400


def test_no_admin_page_holds_a_stored_secret(admin_client, tenant):
    keys = issue_site_keys(tenant)
    issued = [keys.hmac, keys.jwt, keys.api_key, keys.callback]
    api_key = keys.api_key
    stored = [one.credential.secret_encrypted for one in issued if one.credential.secret_encrypted]
    canaries = [*(one.secret for one in issued), *stored, api_key.credential.secret_hash]
    pages = [LIST, f"{LIST}?q={api_key.secret}", "/admin/", f"/admin/django_wp_ai/tenant/{tenant.pk}/change/"]
    pages += ["/admin/django_wp_ai/tenant/", f"/admin/django_wp_ai/tenant/{tenant.pk}/history/"]
    for one in issued:
        pages += [change_url(one.credential), f"{LIST}{one.credential.pk}/history/"]
        pages += [page_of("rotate", one.credential), page_of("revoke", one.credential)]
    for page in pages:
        text = admin_client.get(page).content.decode().replace(f'value="{api_key.secret}"', "")
        for canary in canaries:
            assert canary not in text.replace(f"q={api_key.secret}", ""), page


@pytest.mark.postgresql
def test_of_many_rotations_of_one_credential_at_once_one_is_done(transactional_db, credential):
    user = User.objects.create_superuser("chief")
    start = Barrier(6)

    def post() -> int:
        client = Client()
        client.force_login(user)
        start.wait()
        try:
            return client.post(page_of("rotate", credential), seen(credential)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        codes = [done.result() for done in [pool.submit(post) for _ in range(6)]]
    assert sorted(codes) == [200, 302, 302, 302, 302, 302]
    assert Credential.objects.count() == 2
