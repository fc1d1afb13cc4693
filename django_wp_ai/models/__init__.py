"""What we store, one file a noun."""

from django_wp_ai.models.audit import AuthFailureCount, SpentNonce
from django_wp_ai.models.budget import BudgetPeriod
from django_wp_ai.models.credential import Credential
from django_wp_ai.models.document import Chunk, Document
from django_wp_ai.models.job import Job
from django_wp_ai.models.rate import RateWindow
from django_wp_ai.models.tenant import Tenant
from django_wp_ai.models.usage import UsageEvent

__all__ = [
    "AuthFailureCount",
    "BudgetPeriod",
    "Chunk",
    "Credential",
    "Document",
    "Job",
    "RateWindow",
    "SpentNonce",
    "Tenant",
    "UsageEvent",
]
