"""What is asked of a database when a call's row is opened or settled, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID


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
    """A way to change a call's row and its counters together: ``budget_statements`` or ``budget_rows``."""

    def open_row(self, row: Mapping[str, Any], holds: Sequence[Hold], amount_usd: Decimal | None) -> Opened:
        """Write a pending row if ``amount_usd`` fits every budget of ``holds``, and hold it in them."""

    def settle_row(self, call_id: UUID, changes: Mapping[str, Any], charges: Sequence[Charge]) -> Settled:
        """Settle a pending row and charge its counters; nothing where it is settled, or a counter is missing."""
