"""Many calls at once through several processes: run once, with ``tox -e load``, beside the matrix."""

from __future__ import annotations

from tests.api.conftest import providers, vendor, vendor_server

__all__ = ["providers", "vendor", "vendor_server"]
