"""What the database itself holds: constraints, indexes, tenants apart, and midnight in every time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from django_wp_ai.models import (
    AuthFailureCount,
    Budget,
    BudgetAlert,
    BudgetPeriod,
    Callback,
    CallbackAttempt,
    CallbackEndpoint,
    Chunk,
    Conversation,
    Credential,
    Document,
    DocumentUpload,
    Extraction,
    IdempotentReply,
    InboundEvent,
    Job,
    JobStep,
    PairingCode,
    PromptTemplate,
    RateWindow,
    SiteIndex,
    SpentNonce,
    StreamSlot,
    Tenant,
    Turn,
    UsageEvent,
)
from django_wp_ai.models.tenant import TenantOwnedQuerySet
from tests.factories import TenantFactory, make_credential

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODELS = list(apps.get_app_config("django_wp_ai").get_models())


def usage(tenant: Tenant, **fields: Any) -> UsageEvent:
    defaults = {"route": "chat", "provider": "p", "model": "m", "created_at": NOW}
    return UsageEvent.objects.create(tenant=tenant, **{**defaults, **fields})


def document(tenant: Tenant, **fields: Any) -> Document:
    return Document.objects.create(tenant=tenant, **{"source_id": "post-1", **fields})


def upload(tenant: Tenant) -> DocumentUpload:
    return DocumentUpload.objects.create(tenant=tenant, document=document(tenant, source_id="file-1"), body=b"x")


def chunk(tenant: Tenant, **fields: Any) -> Chunk:
    return Chunk.objects.create(tenant=tenant, document=document(tenant), ordinal=0, content="x", **fields)


def job(tenant: Tenant, **fields: Any) -> Job:
    return Job.objects.create(tenant=tenant, kind="chat", **fields)


def endpoint(tenant: Tenant, **fields: Any) -> CallbackEndpoint:
    return CallbackEndpoint.objects.create(tenant=tenant, url="https://site.example/in", url_hash=uuid4().hex, **fields)


def callback(tenant: Tenant, **fields: Any) -> Callback:
    values = {"type": "job.succeeded", "profile": "standard", "next_attempt_at": NOW, **fields}
    return Callback.objects.create(tenant=tenant, endpoint=endpoint(tenant), **values)


def inbound(tenant: Tenant, **fields: Any) -> InboundEvent:
    return InboundEvent.objects.create(tenant=tenant, **{"source": "openai", "event_id": f"e-{tenant.pk}", **fields})


def period(tenant: Tenant, **fields: Any) -> BudgetPeriod:
    return BudgetPeriod.objects.create(tenant=tenant, kind="day", starts_at=NOW, **fields)


def template(tenant: Tenant | None, **fields: Any) -> PromptTemplate:
    return PromptTemplate.objects.create(tenant=tenant, **{"name": "summary", "prompt": "x", **fields})


def conversation(tenant: Tenant, **fields: Any) -> Conversation:
    return Conversation.objects.create(tenant=tenant, updated_at=NOW, **fields)


BUDGET: dict[str, Any] = {"applies_to": "model", "period": "day", "amount_usd": Decimal(1)}
ALERT: dict[str, Any] = {"kind": "day", "starts_at": NOW, "level": "near", "budget_usd": Decimal(1)}
REPLY: dict[str, Any] = {"owner": UUID(int=1), "created_at": NOW, "expires_at": NOW}


def budget(tenant: Tenant) -> Budget:
    return Budget.objects.create(tenant=tenant, **BUDGET)


def alert(tenant: Tenant) -> BudgetAlert:
    return BudgetAlert.objects.create(tenant=tenant, **ALERT)


def reply(tenant: Tenant) -> IdempotentReply:
    return IdempotentReply.objects.create(tenant=tenant, **REPLY)


def pairing_code(tenant: Tenant) -> PairingCode:
    return PairingCode.objects.create(tenant=tenant, code_hash=str(tenant.pk), expires_at=NOW)


def slot(tenant: Tenant) -> StreamSlot:
    return StreamSlot.objects.create(pk=uuid4(), tenant=tenant, lease_until=NOW)


def credential(kind: str) -> Callable[[Tenant], Credential]:
    return lambda tenant: make_credential(kind, tenant=tenant).credential


def itself(tenant: Tenant) -> Tenant:
    return tenant


#: Constraint -> how a good row is made, and a change of it that the constraint must refuse.
BROKEN: list[tuple[str, Callable[[Tenant], models.Model], dict[str, Any]]] = [
    ("wpai_tenant_slug_not_empty", itself, {"slug": ""}),
    ("wpai_tenant_not_own_parent", itself, {"parent_id": models.F("id")}),
    ("wpai_tenant_budget_day_not_negative", itself, {"budget_day_usd": Decimal("-0.01")}),
    ("wpai_tenant_budget_month_not_negative", itself, {"budget_month_usd": Decimal(-1)}),
    ("wpai_cred_kind_has_its_profile", credential("hmac"), {"profile": ""}),
    ("wpai_cred_kind_has_its_profile", credential("hmac"), {"algorithm": "HS256"}),
    ("wpai_cred_kind_has_its_profile", credential("jwt"), {"algorithm": "none"}),
    ("wpai_cred_kind_has_its_profile", credential("jwt"), {"algorithm": "RS256"}),
    ("wpai_cred_kind_has_its_profile", credential("api_key"), {"profile": "site-id"}),
    ("wpai_cred_kind_has_its_profile", credential("api_key"), {"kind": "something"}),
    ("wpai_cred_kind_has_its_secret", credential("hmac"), {"secret_encrypted": ""}),
    ("wpai_cred_kind_has_its_secret", credential("jwt"), {"public_key": "pem"}),
    ("wpai_cred_kind_has_its_secret", credential("api_key"), {"secret_hash": ""}),
    ("wpai_cred_kind_has_its_secret", credential("api_key"), {"secret_encrypted": "x"}),
    ("wpai_cred_kind_has_its_secret", credential("callback"), {"secret_hash": "x"}),
    ("wpai_usage_cost_not_negative", usage, {"cost_usd": Decimal("-0.000000001")}),
    ("wpai_usage_reserved_not_negative", usage, {"reserved_usd": Decimal(-1)}),
    ("wpai_usage_settled_has_time", usage, {"state": "settled"}),
    ("wpai_usage_settled_has_time", usage, {"settled_at": NOW}),
    ("wpai_usage_settled_has_time", usage, {"state": "other"}),
    ("wpai_usage_cached_within_input", usage, {"cached_input_tokens": 1}),
    ("wpai_document_source_not_empty", document, {"source_id": ""}),
    ("wpai_document_deleted_has_time", document, {"status": "deleted"}),
    ("wpai_document_deleted_has_time", document, {"deleted_at": NOW}),
    ("wpai_chunk_embedding_is_named", chunk, {"dimensions": 3}),
    ("wpai_chunk_next_embedding_named", chunk, {"next_dimensions": 3}),
    ("wpai_chunk_embedding_is_named", chunk, {"embedding": [1.0, 2.0], "dimensions": 2}),
    ("wpai_job_progress_is_percent", job, {"progress": 101}),
    ("wpai_job_ended_has_time", job, {"status": "succeeded"}),
    ("wpai_job_ended_has_time", job, {"finished_at": NOW}),
    ("wpai_job_ended_has_time", job, {"status": "other"}),
    ("wpai_job_waiting_has_no_lease", job, {"waiting_for": 1}),
    ("wpai_job_waiting_has_no_lease", job, {"status": "running", "lease_until": NOW, "waiting_for": 0}),
    ("wpai_cred_app_password_has_user", credential("callback"), {"kind": "app_password"}),
    ("wpai_cred_app_password_has_user", credential("callback"), {"username": "editor"}),
    ("wpai_endpoint_disabled_has_reason", endpoint, {"disabled_at": NOW}),
    ("wpai_endpoint_disabled_has_reason", endpoint, {"disabled_reason": "gone"}),
    ("wpai_callback_pending_has_next", callback, {"next_attempt_at": None}),
    ("wpai_callback_pending_has_next", callback, {"state": "dead"}),
    ("wpai_callback_pending_has_next", callback, {"state": "delivered", "ended_at": NOW, "lease_until": NOW}),
    ("wpai_budget_not_negative", period, {"reserved_usd": Decimal(-1)}),
    ("wpai_budget_not_negative", period, {"spent_usd": Decimal(-1)}),
    ("wpai_budget_amount_not_negative", budget, {"amount_usd": Decimal("-0.0001")}),
    ("wpai_budget_amount_not_negative", budget, {"amount_usd": Decimal(-1)}),
    ("wpai_prompt_version_counts_from_1", template, {"version": 0}),
]


@pytest.mark.parametrize(("name", "make", "change"), BROKEN)
def test_the_database_refuses_a_row_that_breaks_a_rule(
    name: str, make: Callable[[Tenant], models.Model], change: dict[str, Any]
) -> None:
    row = make(TenantFactory.create())
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        type(row)._base_manager.filter(pk=row.pk).update(**change)


def test_every_check_constraint_is_tried_above() -> None:
    named = {c.name for model in MODELS for c in model._meta.constraints if isinstance(c, models.CheckConstraint)}
    assert named == {name for name, _, _ in BROKEN}


def twice(model: type[models.Model], **fields: Any) -> None:
    for _ in range(2):
        model._base_manager.create(**fields)


UNIQUE: dict[str, Callable[[Tenant], object]] = {
    "wpai_document_source": lambda tenant: twice(Document, tenant=tenant, source_id="post-1"),
    "wpai_extraction_file": lambda tenant: twice(Extraction, tenant=tenant, sha256="a" * 64, extractor="1"),
    "wpai_chunk_place": lambda tenant: twice(
        Chunk, tenant=tenant, document=Document.objects.get_or_create(tenant=tenant, source_id="p")[0], ordinal=0
    ),
    "wpai_job_idempotency_key": lambda tenant: twice(Job, tenant=tenant, kind="chat", idempotency_key="k"),
    "wpai_job_place_in_batch": lambda tenant: twice(
        Job, tenant=tenant, kind="chat", ordinal=1, parent=Job.objects.get_or_create(tenant=tenant, kind="batch")[0]
    ),
    "wpai_job_step_name": lambda tenant: twice(
        JobStep, job=Job.objects.get_or_create(tenant=tenant, kind="chat")[0], name="answer", fence=1, sent_at=NOW
    ),
    "wpai_endpoint_url": lambda tenant: twice(CallbackEndpoint, tenant=tenant, url="https://a.example", url_hash="h"),
    "wpai_callback_place": lambda tenant: twice(
        Callback,
        tenant=tenant,
        endpoint=CallbackEndpoint.objects.get_or_create(tenant=tenant, url="https://a.example", url_hash="h")[0],
        job=Job.objects.get_or_create(tenant=tenant, kind="chat")[0],
        next_attempt_at=NOW,
    ),
    "wpai_inbound_event": lambda tenant: twice(InboundEvent, tenant=tenant, source="openai", event_id="e"),
    "wpai_budget_period": lambda tenant: twice(BudgetPeriod, tenant=tenant, kind="day", starts_at=NOW),
    "wpai_budget_once": lambda tenant: twice(Budget, tenant=tenant, **BUDGET),
    "wpai_budget_alert_once": lambda tenant: twice(BudgetAlert, tenant=tenant, **ALERT),
    "wpai_idempotency_key": lambda tenant: twice(IdempotentReply, tenant=tenant, key_hash="k", **REPLY),
    "wpai_prompt_version": lambda tenant: twice(PromptTemplate, tenant=tenant, name="summary", prompt="x"),
    "wpai_prompt_shared_version": lambda tenant: twice(PromptTemplate, name="summary", prompt="x"),
    "wpai_conversation_name": lambda tenant: twice(Conversation, tenant=tenant, name="support", updated_at=NOW),
    "wpai_turn_ordinal": lambda tenant: twice(
        Turn, conversation=Conversation.objects.get_or_create(tenant=tenant, updated_at=NOW)[0], ordinal=1, tokens=1
    ),
    "wpai_auth_failure_hour": lambda tenant: twice(AuthFailureCount, hour=NOW, method="jwt", reason="expired"),
}


@pytest.mark.parametrize("name", UNIQUE)
def test_the_database_refuses_the_same_row_twice(name: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        UNIQUE[name](TenantFactory.create())


def test_every_unique_constraint_is_tried_above() -> None:
    named = {c.name for model in MODELS for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)}
    assert named == set(UNIQUE)


@pytest.mark.parametrize("fields", [{"slug": "taken"}])
def test_a_slug_and_a_call_id_and_a_key_id_are_taken_once(fields: dict[str, Any]) -> None:
    first = TenantFactory.create(**fields)
    issued = make_credential("api_key", tenant=first).credential
    event = usage(first)
    for again in (
        lambda: Tenant.objects.create(**fields),
        lambda: make_credential("jwt", tenant=first, key_id=issued.key_id),
        lambda: usage(first, call_id=event.call_id),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            again()


@pytest.mark.parametrize("model", MODELS)
def test_every_declared_index_and_constraint_is_in_the_database(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        there = set(connection.introspection.get_constraints(cursor, model._meta.db_table))
    declared = {index.name for index in model._meta.indexes} | {c.name for c in model._meta.constraints}
    assert declared <= there


OWNED: dict[type[models.Model], Callable[[Tenant], models.Model]] = {
    UsageEvent: usage,
    Document: document,
    Chunk: chunk,
    DocumentUpload: upload,
    Extraction: lambda tenant: Extraction.objects.create(tenant=tenant, sha256="a" * 64, extractor="1"),
    SiteIndex: lambda tenant: SiteIndex.objects.create(tenant=tenant),
    Job: job,
    CallbackEndpoint: endpoint,
    Callback: callback,
    BudgetPeriod: period,
    Credential: credential("api_key"),
    PromptTemplate: template,
    Conversation: conversation,
    Budget: budget,
    BudgetAlert: alert,
    IdempotentReply: reply,
    PairingCode: pairing_code,
    StreamSlot: slot,
    InboundEvent: inbound,
}


def test_every_model_with_a_tenant_is_tried_below() -> None:
    assert {model for model in MODELS if any(field.name == "tenant" for field in model._meta.fields)} == set(OWNED)


@pytest.mark.parametrize("model", OWNED)
def test_for_tenant_shows_its_rows_and_no_others(model: type[models.Model]) -> None:
    mine, other = TenantFactory.create(), TenantFactory.create()
    rows = {tenant: OWNED[model](tenant) for tenant in (mine, other)}
    manager: Any = model._default_manager

    assert isinstance(manager.all(), TenantOwnedQuerySet)
    assert list(manager.for_tenant(mine)) == [rows[mine]]
    assert list(manager.for_tenant(other)) == [rows[other]]
    assert not manager.for_tenant(TenantFactory.create()).exists()


def test_a_tenant_with_usage_or_children_is_not_deleted() -> None:
    tenant = TenantFactory.create()
    usage(tenant)
    parent = TenantFactory.create()
    TenantFactory.create(parent=parent)
    for kept in (tenant, parent):
        with pytest.raises(models.ProtectedError), transaction.atomic():
            kept.delete()


def test_usage_outlives_its_credential() -> None:
    tenant = TenantFactory.create()
    issued = make_credential("api_key", tenant=tenant).credential
    event = usage(tenant, credential=issued)
    issued.delete()
    event.refresh_from_db()
    assert event.credential is None


def test_every_row_can_be_shown_to_people() -> None:
    tenant = TenantFactory.create(name="")
    shown = [str(make(tenant)) for make in OWNED.values() if make is not chunk]
    shown += [str(tenant), str(SpentNonce(key="k")), str(RateWindow(key="k")), str(Chunk(document_id=1, ordinal=2))]
    shown += [str(JobStep(name="answer", state="sent")), str(CallbackAttempt(number=1, status=200))]
    shown.append(str(Turn(ordinal=1, role="user")))
    shown.append(str(AuthFailureCount(hour=NOW, method="jwt", reason="expired", count=3)))
    assert all(shown)
    assert shown[-1] == "2026-06-01 12:00 jwt expired: 3"
