"""What a well-signed JWT may say: its times, its audience, and what is kept of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_wp_ai.security.json_web_tokens import verify
from tests.factories import TenantFactory, make_credential
from tests.unit.security.proofs import (
    jwt_by,
    jwt_refused,
)

pytestmark = pytest.mark.django_db


# Times


@pytest.mark.parametrize("missing", ["exp", "iat"])
def test_a_missing_time_is_named(missing: str) -> None:
    error = jwt_refused(jwt_by(make_credential("jwt"), **{missing: None}))
    assert (error.reason, error.detail) == ("missing", f"The token lacks {missing}.")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iat": -400, "exp": -10}, "expired"),
        ({"iat": 60, "exp": 120}, "expired"),
        ({"nbf": 60}, "expired"),
        ({"iat": 0, "exp": 301}, "lifetime"),
        ({"iat": -1000, "exp": 60}, "lifetime"),
        ({"iat": 2, "exp": 2}, "lifetime"),
        ({"iat": 4, "exp": 2}, "lifetime"),
    ],
)
def test_times_outside_the_rules_are_refused(claims: dict[str, int], reason: str) -> None:
    now = int(time.time())
    shifted = {name: now + shift_s for name, shift_s in claims.items()}
    assert jwt_refused(jwt_by(make_credential("jwt"), **shifted)).reason == reason


@pytest.mark.parametrize("lifetime_s", [60, 300])
def test_a_lifetime_up_to_five_minutes_is_fine(lifetime_s: int) -> None:
    now = int(time.time())
    verify(jwt_by(make_credential("jwt"), iat=now, exp=now + lifetime_s))


def test_a_credential_may_allow_an_hour() -> None:
    now = int(time.time())
    issued = make_credential("jwt", max_lifetime_s=3600)
    verify(jwt_by(issued, iat=now, exp=now + 3600))
    assert jwt_refused(jwt_by(issued, iat=now, exp=now + 3601)).reason == "lifetime"


@pytest.mark.parametrize("value", ["soon", [], {}, True, 1e400, "1e9", -1, 10**400, "9" * 5000, ""])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_none_is_refused(claim: str, value: Any) -> None:
    issued = make_credential("jwt")
    if claim == "nbf" and value in (True, -1):
        verify(jwt_by(issued, nbf=value))  # long past, however it is written
    else:
        jwt_refused(jwt_by(issued, **{claim: value}))


def test_times_may_be_fractions() -> None:
    now = time.time()
    verify(jwt_by(make_credential("jwt"), iat=now, exp=now + 60.5))


# Audience


def test_the_audience_is_checked_when_the_credential_names_one() -> None:
    issued = make_credential("jwt", audience="https://ai.example.org")
    verify(jwt_by(issued, aud="https://ai.example.org"))
    verify(jwt_by(issued, aud=["https://other.example", "https://ai.example.org"]))
    assert jwt_refused(jwt_by(issued, aud="https://other.example")).reason == "signature"
    assert jwt_refused(jwt_by(issued)).detail == "The token lacks aud."
    for odd in (1, {"a": 1}, [1], [[]], []):
        jwt_refused(jwt_by(issued, aud=odd))


def test_any_audience_is_fine_when_the_credential_names_none() -> None:
    verified = verify(jwt_by(make_credential("jwt"), aud="https://anything.example"))
    assert verified.for_stream is False


def test_a_stream_token_says_so_and_needs_a_jti() -> None:
    issued = make_credential("jwt", audience="https://ai.example.org")
    assert verify(jwt_by(issued, aud="stream", jti="1")).for_stream
    assert verify(jwt_by(issued, aud=["stream"], jti="1")).for_stream
    assert jwt_refused(jwt_by(issued, aud="stream")).detail == "A stream token needs a jti."


# Claims that are kept


def test_subject_roles_and_jti_are_kept() -> None:
    verified = verify(jwt_by(make_credential("jwt"), sub=42, roles=["editor", 7, "author"], jti="job-1"))
    assert (verified.subject, verified.roles, verified.jti) == ("42", ("editor", "author"), "job-1")


def test_roles_that_php_wrote_as_an_object_are_kept() -> None:
    assert verify(jwt_by(make_credential("jwt"), roles={"1": "editor"})).roles == ("editor",)


@pytest.mark.parametrize("roles", [None, "editor", 7, [], [["editor"]], ["a" * 200]])
def test_other_roles_are_none(roles: Any) -> None:
    assert verify(jwt_by(make_credential("jwt"), roles=roles)).roles == ()


def test_no_more_roles_are_kept_than_anyone_has() -> None:
    assert len(verify(jwt_by(make_credential("jwt"), roles=[f"role-{n}" for n in range(100)])).roles) == 32


def test_the_tenants_slug_is_no_end_user() -> None:
    issued = make_credential("jwt", tenant=TenantFactory.create(slug="blog"))
    assert verify(jwt_by(issued, sub="blog")).subject == ""
    assert verify(jwt_by(issued)).subject == ""


@pytest.mark.parametrize("claim", ["sub", "jti"])
@pytest.mark.parametrize("value", ["a" * 129, "a\x00b", "\ud800", ["1"], {"a": 1}, True, 1.5, 10**200])
def test_a_subject_or_jti_that_can_not_be_kept_is_refused(claim: str, value: Any) -> None:
    assert jwt_refused(jwt_by(make_credential("jwt"), **{claim: value})).reason == "malformed"
