"""In whose name a job calls: whoever created it, as long as that credential and that site may call at all."""

from __future__ import annotations

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden
from django_wp_ai.models import Credential, Job, Tenant
from django_wp_ai.policy.limits import JOB

#: The scope ``jobs`` allows a job its own calls.
SCOPES = frozenset({"chat", "embeddings"})
#: In ``Job.caller`` of work that the operator began: no credential stands behind it that could be revoked.
OPERATOR = "operator"


def principal_of(job: Job) -> Principal:
    """The job's principal, from its row with ``tenant`` and ``credential``; raises Forbidden."""
    credential = None if job.caller.get(OPERATOR) else _standing(job.credential)
    if not job.tenant.is_active:
        raise Forbidden("The site of this job is not active.")
    return Principal(
        tenant=job.tenant,
        credential=credential,
        scopes=frozenset(job.caller.get("scopes", ())) | SCOPES,
        end_user=job.end_user,
        roles=tuple(job.caller.get("roles", ())),
        method=JOB,
        models=tuple(job.caller.get("models", ())),
    )


def require_standing(job: Job) -> None:
    """Blocking: raise Forbidden where the credential or the site was taken out of use meanwhile."""
    if job.caller.get(OPERATOR):
        tenant = Tenant.objects.get(pk=job.tenant_id)
    else:
        found = None
        if job.credential_id is not None:
            found = Credential.objects.select_related("tenant").filter(pk=job.credential_id).first()
        tenant = _standing(found).tenant
    if not tenant.is_active:
        raise Forbidden("The site of this job is not active.")


def _standing(credential: Credential | None) -> Credential:
    """One that only expired is one that was replaced in good order: what it began may end."""
    if credential is None or credential.revoked_at is not None:
        raise Forbidden("The credential that created this job is revoked.")
    return credential
