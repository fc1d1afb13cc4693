"""Settings: every option checked, unknown ones refused, nothing read before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_wp_ai.conf import MAY_BE_ZERO, Settings, load, settings

HINTS = get_type_hints(Settings)
KEYS = [field.name.upper() for field in fields(Settings)]
WRONG: dict[Any, list[Any]] = {
    int: ["5", 1.5, None, True, -1, [], float("nan")],
    float: ["5", None, False, -0.1, [], float("nan"), float("inf")],
    bool: [1, 0, "yes", None, []],
    str: [5, None, b"x", [], True],
    Decimal: [0.5, "0", "-1", "x", "", "NaN", "Infinity", None, True, [], 0],
}
WRONG_LIST = ["10.0.0.0/8", [5], [None], {"a": 1}, None, 5, {"a"}]
WRONG_DICT = [[], "x", None, 5, [("a", "b")]]


def wrong(key: str) -> list[Any]:
    hint = HINTS[key.lower()]
    origin = getattr(hint, "__origin__", None)
    return WRONG[hint] if origin is None else WRONG_LIST if origin is tuple else WRONG_DICT


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in KEYS for value in wrong(key)])
def test_a_value_of_the_wrong_type_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"DJANGO_WP_AI\['{key}'\] must be "):
        load({key: value})


@pytest.mark.parametrize("key", [key for key in KEYS if HINTS[key.lower()] in (int, float)])
def test_zero_is_taken_only_where_it_turns_something_off(key: str) -> None:
    if key in MAY_BE_ZERO:
        assert getattr(load({key: 0}), key.lower()) == 0
    else:
        with pytest.raises(ImproperlyConfigured, match="more than 0"):
            load({key: 0})


@pytest.mark.parametrize("key", KEYS)
def test_every_default_would_be_accepted_from_a_host(key: str) -> None:
    default = getattr(Settings(), key.lower())
    assert getattr(load({key: default}), key.lower()) == default


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        load({"PROVIDRES": {}, "rag": True, 5: 1})
    text = str(refused.value)
    assert "5, PROVIDRES, rag" in text
    assert all(key in text for key in KEYS)


@pytest.mark.parametrize("raw", [None, [], "x", 5])
def test_anything_but_a_dict_is_refused(raw: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="must be a dict"):
        load(raw)


def test_a_list_becomes_a_tuple_and_a_whole_number_does_for_a_duration() -> None:
    loaded = load({"TRUSTED_PROXIES": ["10.0.0.0/8"], "DISCONNECT_DRAIN_S": 5})
    assert loaded.trusted_proxies == ("10.0.0.0/8",)
    assert loaded.disconnect_drain_s == 5


def test_an_amount_is_exact() -> None:
    assert [load({"TOOL_MAX_USD": value}).tool_max_usd for value in ("0.10", 2, Decimal("0.3"))] == [
        Decimal("0.10"),
        Decimal(2),
        Decimal("0.3"),
    ]


def test_loaded_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        load({}).rag = False  # type: ignore[misc]


def test_override_settings_counts_at_once_and_ends() -> None:
    before = settings.max_messages
    with override_settings(DJANGO_WP_AI={"MAX_MESSAGES": 7}):
        assert settings.max_messages == 7
    assert settings.max_messages == before


def test_a_broken_setting_fails_on_each_use_until_it_is_mended() -> None:
    with override_settings(DJANGO_WP_AI={"MAX_MESSAGES": "many"}):
        for _ in range(2):
            with pytest.raises(ImproperlyConfigured):
                settings.max_messages  # noqa: B018 - reading is what fails


def test_another_name_is_no_setting() -> None:
    with pytest.raises(AttributeError):
        settings.no_such_option  # noqa: B018 - reading is what fails


def test_nothing_is_read_at_import() -> None:
    modules = "conf, bridge, datatypes, exceptions, apps, providers.base, providers.options"
    imports = "; ".join(f"import django_wp_ai.{name}" for name in modules.split(", "))
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    script = f"{imports}\nfrom django.conf import settings\nprint(settings.configured)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
