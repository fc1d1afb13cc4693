"""What is asked of a database when a call's row is opened or settled, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from django_wp_ai.together import Failed


@dataclass(frozen=True, slots=True)
class Hold:
    """A counter that must keep a reservation, and its budget."""

    pk: int
    within_usd: Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """What is counted as spent in a counter, and what it no longer keeps."""

    pk: int
    spent_usd: Decimal
    released_usd: Decimal


@dataclass(frozen=True, slots=True)
class Opening:
    """A pending row to be written, if ``amount_usd`` fits every budget of ``holds``, and held in them."""

    row: Mapping[str, Any]
    holds: Sequence[Hold]
    amount_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Settling:
    """A pending row to be settled, and its counters charged; nothing where it is settled, or a counter is missing."""

    call_id: UUID
    changes: Mapping[str, Any]
    charges: Sequence[Charge]


@dataclass(frozen=True, slots=True)
class Opened:
    """Whether the row was written. If not: counters that do not exist, else what is spent and reserved where it is."""

    done: bool
    missing: tuple[int, ...] = ()
    refused: Mapping[int, tuple[Decimal, Decimal]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether this call settled the row, whether all counters exist, and what is spent in each that was charged."""

    done: bool
    complete: bool = True
    spent: Mapping[int, Decimal] = field(default_factory=dict)


class Books(Protocol):
    """A way to change calls' rows and their counters together: ``budget_batches`` or ``budget_rows``.

    Each call has an outcome of its own, in the order of what was asked.
    """

    def open_rows(self, openings: Sequence[Opening]) -> Sequence[Opened | Failed]:
        """Open these."""

    def settle_rows(self, settlings: Sequence[Settling]) -> Sequence[Settled | Failed]:
        """Settle these."""
