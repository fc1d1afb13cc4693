"""What a refusal leaves behind: a count, and no secret anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.models import AuthFailureCount, Credential, SpentNonce, UsageEvent
from django_wp_ai.security.issue import Issued
from tests.factories import TenantFactory, envelope, make_credential, signed
from tests.signing import (
    fresh_claims,
    hs256,
)
from tests.unit.security.proofs import (
    HOSTILE,
    every_proof,
    make,
    refused,
)

pytestmark = pytest.mark.django_db


def test_a_refusal_leaves_a_count_and_nothing_else() -> None:
    issued = make_credential("api_key")
    before = Credential.objects.get(pk=issued.credential.pk).last_used_at
    for _ in range(3):
        refused(envelope({"X-API-Key": issued.secret + "x"}))
    refused(envelope())
    counts = {(row.method, row.reason): row.count for row in AuthFailureCount.objects.all()}
    assert counts == {("api_key", "unknown_key"): 3, ("none", "missing"): 1}
    assert Credential.objects.get(pk=issued.credential.pk).last_used_at == before
    assert (UsageEvent.objects.count(), SpentNonce.objects.count()) == (0, 0)


def test_what_is_sent_decides_no_more_rows_than_there_are_reasons() -> None:
    for text in HOSTILE:
        refused(envelope({"X-API-Key": f"wpai_{text}_{text}"}))
        refused(envelope({"Authorization": f"Bearer {text}.{text}.{text}"}))
    assert {(row.method, row.reason) for row in AuthFailureCount.objects.all()} <= {
        ("api_key", "unknown_key"),
        ("jwt", "malformed"),
        ("jwt", "too_long"),
    }


@pytest.mark.django_db(transaction=True)
def test_failures_at_the_same_time_are_all_counted() -> None:
    def fail(_: int) -> None:
        try:
            refused(envelope())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(40)))
    assert sum(row.count for row in AuthFailureCount.objects.all()) == 40


@every_proof
def test_no_secret_stands_in_an_error_or_a_repr(proof: str) -> None:
    issued, prove = make(proof)
    request = prove(issued)
    issued.credential.revoke()
    error = refused(request)
    shown = "".join([repr(error), str(error), error.detail, repr(request), repr(issued), str(issued.credential)])
    sent = [value for name, value in request.headers.items() if "sig" in name or name in {"authorization", "x-api-key"}]
    assert not [value for value in [issued.secret, *sent, request.body.decode()] if value in shown]


def test_the_title_never_says_which_part_was_wrong() -> None:
    issued = make_credential()
    wrong = [
        signed(issued, sent={"path": "/other"}),
        signed(issued, created=1),
        signed(Issued(issued.credential, "other")),
        signed(Issued(Credential(key_id="nobody"), issued.secret)),
    ]
    assert {str(refused(request)) for request in wrong} == {Unauthenticated.title}


def test_a_tenant_made_by_hand_without_a_site_url_is_found_by_no_url() -> None:
    tenant = TenantFactory.create(site_url="")
    issued = make_credential("jwt", tenant=tenant)
    for site in ("", "/", "https://"):
        token = hs256(issued.secret, fresh_claims(iss=site))
        refused(envelope({"Authorization": f"Bearer {token}"}))
