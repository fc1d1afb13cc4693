from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command


class Shell:
    """Runs a command in this process and keeps what it printed."""

    def run(self, *words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def shell() -> Shell:
    return Shell()
