"""Kept answers: who may share one, what is stored, and that a cache can only ever miss."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django_redis import get_redis_connection

from django_wp_ai import shared_cache
from django_wp_ai.datatypes import (
    ChatRequest,
    ChatResult,
    Choice,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from django_wp_ai.gateway import answer_cache
from django_wp_ai.gateway.admission import Admitted
from django_wp_ai.gateway.conversations import History
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target
from django_wp_ai.models import Credential, Tenant
from django_wp_ai.providers.registry import providers as configured
from django_wp_ai.security import secrets
from tests.factories import TenantFactory, make_credential
from tests.flows.conftest import asking, principal_for
from tests.servers import free_port

ANSWER = ChatResult((Choice("We open at nine.", "stop"),), Usage(31, 5, 2, 1, 3), "gpt-4o-mini")
CANARY = "canary-5150"


@pytest.fixture
def credential(db: None) -> Credential:
    return make_credential("api_key", tenant=TenantFactory.create(cache_mode="opt_in")).credential


def admitted(credential: Credential, request: ChatRequest | None = None, **how: Any) -> Admitted:
    """A call as the street has it when it looks for an answer."""
    request = asking("Hi", cache=True) if request is None else request
    targets = tuple(Target(configured()["openai"], model) for model in how.pop("models", ["gpt-4o-mini"]))
    return Admitted(principal_for(credential.tenant, credential), request, targets, Origin("chat"), **how)


def user(*parts: Any, **fields: Any) -> tuple[Message, ...]:
    return (Message("user", parts or (TextPart("Hi"),), **fields),)


# Whether


@pytest.mark.parametrize(
    ("mode", "cache", "temperature", "is_wanted"),
    [
        ("off", True, 0.0, False),
        ("off", None, 0.0, False),
        ("opt_in", True, None, True),
        ("opt_in", True, 0.9, True),
        ("opt_in", None, 0.0, False),
        ("opt_in", False, 0.0, False),
        ("deterministic", None, 0.0, True),
        ("deterministic", None, 0.1, False),
        ("deterministic", None, None, False),
        ("deterministic", False, 0.0, False),
        ("deterministic", True, 1.0, True),
    ],
)
def test_the_sites_mode_and_the_call_decide(
    credential: Credential, mode: str, cache: bool | None, temperature: float | None, is_wanted: bool
) -> None:
    credential.tenant.cache_mode = mode
    call = admitted(credential, asking("Hi", cache=cache, temperature=temperature))
    assert answer_cache.wanted(call) is is_wanted


@pytest.mark.parametrize("fields", [{"n": 2}, {"server_tools": ("weather",)}])
def test_several_samples_and_tools_that_run_here_are_not_kept(credential: Credential, fields: Any) -> None:
    assert not answer_cache.wanted(admitted(credential, asking("Hi", cache=True, **fields)))


# The key

#: For each field that counts, a value that makes the call another one.
CHANGES: dict[str, Any] = {
    "messages": user(TextPart("Ho")),
    "model": "fast",
    "provider": "openai",
    "temperature": 0.5,
    "top_p": 0.5,
    "max_tokens": 7,
    "stop": ("END",),
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "n": 2,
    "tools": (Tool("weather"),),
    "tool_choice": ToolChoice("required"),
    "response_format": ResponseFormat("json_object"),
    "reasoning_effort": "low",
    "tool_turns": user(TextPart("It rains.")),
}


def test_every_field_of_a_request_counts_or_has_a_reason_not_to() -> None:
    names = {field.name for field in fields(ChatRequest)}
    assert names == set(CHANGES) | set(answer_cache.LEFT_OUT)
    assert not set(CHANGES) & set(answer_cache.LEFT_OUT)
    assert all(answer_cache.LEFT_OUT.values())


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_counts_makes_another_key(credential: Credential, name: str) -> None:
    base = asking("Hi", cache=True)
    assert getattr(base, name) != CHANGES[name]
    changed = replace(base, **{name: CHANGES[name]})
    assert answer_cache.key_of(admitted(credential, changed)) != answer_cache.key_of(admitted(credential, base))


MESSAGES: list[tuple[Message, ...]] = [
    user(),
    user(TextPart("hi")),
    user(TextPart("Hi ")),
    user(TextPart("H"), TextPart("i")),
    user(ImagePart("https://example.org/a.png")),
    user(ImagePart("https://example.org/b.png")),
    user(ImagePart("https://example.org/a.png", "low")),
    user(name="Ada"),
    (Message("assistant", (TextPart("Hi"),)),),
    (Message("system", (TextPart("Be brief."),)), *user()),
    (*user(), *user()),
    (*user(), Message("assistant", (), (ToolCall("1", "weather", "{}"),))),
    (*user(), Message("assistant", (), (ToolCall("2", "weather", "{}"),))),
    (*user(), Message("assistant", (), (ToolCall("1", "time", "{}"),))),
    (*user(), Message("assistant", (), (ToolCall("1", "weather", '{"in": "Bern"}'),))),
    (*user(), Message("tool", (TextPart("Rain"),), (), "1")),
    (*user(), Message("tool", (TextPart("Rain"),), (), "1", True)),
]
TOOLS = [
    (Tool("weather"),),
    (Tool("weather", "Tells the weather."),),
    (Tool("weather", "", {"type": "object"}),),
    (Tool("weather", "", {"type": "object", "additionalProperties": False}),),
    (Tool("weather", strict=True),),
    (Tool("weather", strict=False),),
    (Tool("weather"), Tool("time")),
    (Tool("time"), Tool("weather")),
]
CHOICES = [
    ToolChoice("auto"),
    ToolChoice("none"),
    ToolChoice("function", "weather"),
    ToolChoice("function", "time"),
    ToolChoice("auto", parallel=False),
]
FORMATS = [
    ResponseFormat("json_object"),
    ResponseFormat("json_schema", {"type": "object"}),
    ResponseFormat("json_schema", {"type": "array"}),
    ResponseFormat("json_schema", {"type": "object"}, "other"),
    ResponseFormat("json_schema", {"type": "object"}, strict=True),
]


def test_every_part_of_a_message_tool_or_format_makes_another_key(credential: Credential) -> None:
    calls = [
        *(ChatRequest(messages=messages) for messages in MESSAGES),
        *(ChatRequest(messages=user(), tools=tools) for tools in TOOLS),
        *(ChatRequest(messages=user(), tool_choice=choice) for choice in CHOICES),
        *(ChatRequest(messages=user(), response_format=wanted) for wanted in FORMATS),
        *(ChatRequest(messages=user(), stop=stop) for stop in [("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",)]),
    ]
    keys = {answer_cache.key_of(admitted(credential, call)) for call in calls}
    assert len(keys) == len(calls)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asking("caf\u00e9"), asking("cafe\u0301")),
        (asking("Hi", temperature=0), asking("Hi", temperature=0.0)),
        (
            asking("Hi", tools=(Tool("t", "", {"a": 1, "b": 2}),)),
            asking("Hi", tools=(Tool("t", "", {"b": 2, "a": 1}),)),
        ),
        (asking("Hi", plugin="one"), asking("Hi", plugin="two")),
        (asking("Hi", cache=True), asking("Hi", cache=None)),
    ],
)
def test_what_means_the_same_has_one_key(credential: Credential, one: ChatRequest, other: ChatRequest) -> None:
    assert answer_cache.key_of(admitted(credential, one)) == answer_cache.key_of(admitted(credential, other))


def test_half_of_a_surrogate_pair_has_a_key_too(credential: Credential) -> None:
    assert len(answer_cache.key_of(admitted(credential, asking("\ud83d")))) == 64


def test_candidates_and_template_version_make_another_key_and_weights_do_not(credential: Credential) -> None:
    def key(**how: Any) -> str:
        return answer_cache.key_of(admitted(credential, **how))

    assert key(models=["gpt-4o-mini", "gpt-4o"]) == key(models=["gpt-4o", "gpt-4o-mini"])
    found = {key(), key(models=["gpt-4o"]), key(models=["gpt-4o", "gpt-4o-mini"])}
    found |= {key(prompt_template="summary@1"), key(prompt_template="summary@2")}
    assert len(found) == 5


def test_the_key_is_secret_and_changes_with_the_secret(credential: Credential, settings: Any) -> None:
    before = answer_cache.key_of(admitted(credential))
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    assert answer_cache.key_of(admitted(credential)) != before
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": []}
    assert answer_cache.key_of(admitted(credential)) != before


# Who shares


def test_two_sites_that_ask_the_same_share_nothing(credential: Credential) -> None:
    other = make_credential("api_key", tenant=TenantFactory.create()).credential
    answer_cache.put(admitted(credential), ANSWER)
    assert answer_cache.get(admitted(credential)) == ANSWER
    assert answer_cache.get(admitted(other)) is None


def test_end_users_share_only_where_the_site_says_so(credential: Credential) -> None:
    ada, bob = asking("Hi", end_user="ada"), asking("Hi", end_user="bob")
    answer_cache.put(admitted(credential, ada), ANSWER)
    assert answer_cache.get(admitted(credential, ada)) == ANSWER
    assert answer_cache.get(admitted(credential, bob)) is None
    assert answer_cache.get(admitted(credential, asking("Hi"))) is None

    credential.tenant.cache_per_end_user = False
    answer_cache.put(admitted(credential, ada), ANSWER)
    assert answer_cache.get(admitted(credential, bob)) == ANSWER
    assert answer_cache.get(admitted(credential, asking("Hi"))) == ANSWER


def test_a_conversation_is_never_shared(credential: Credential) -> None:
    credential.tenant.cache_per_end_user = False
    conversation = History(uuid.uuid4(), credential.tenant, "")
    answer_cache.put(admitted(credential, asking("Hi", end_user="ada"), history=conversation), ANSWER)
    assert answer_cache.get(admitted(credential, asking("Hi", end_user="ada"), history=conversation)) == ANSWER
    assert answer_cache.get(admitted(credential, asking("Hi", end_user="bob"), history=conversation)) is None


# What is kept


@pytest.mark.parametrize(
    "result",
    [
        ANSWER,
        replace(ANSWER, choices=(Choice("", "tool_calls", (ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}"))),)),
        replace(ANSWER, choices=(Choice("caf\u00e9 \U0001f600 \x00", "stop"),)),
        replace(ANSWER, choices=(Choice("one", "stop"), Choice("two", "stop"))),
        replace(ANSWER, usage=Usage(1, 2, estimated=True)),
    ],
)
def test_an_answer_comes_back_as_it_was(credential: Credential, result: ChatResult) -> None:
    answer_cache.put(admitted(credential), result)
    assert answer_cache.get(admitted(credential)) == result


@pytest.mark.parametrize(
    "choices",
    [
        (),
        (Choice("We op", "length"),),
        (Choice("We", "content_filter"),),
        (Choice("We", "error"),),
        (Choice("", "stop"),),
        (Choice("No.", "stop", (), "No."),),
        (Choice("one", "stop"), Choice("tw", "length")),
        (Choice("".join(map(chr, range(0x4E00, 0x9E00))) * 20, "stop"),),
    ],
)
def test_what_may_come_out_better_or_is_too_large_is_not_kept(credential: Credential, choices: Any) -> None:
    answer_cache.put(admitted(credential), replace(ANSWER, choices=choices))
    assert answer_cache.get(admitted(credential)) is None


def test_an_answer_lives_as_long_as_the_site_says(credential: Credential) -> None:
    credential.tenant.cache_ttl_s = 90
    answer_cache.put(admitted(credential), ANSWER)
    assert answer_cache.get(admitted(credential)) == ANSWER
    client, [name] = get_redis_connection("default"), stored()
    assert 0 < client.ttl(name) <= 90
    client.expireat(name, 1)
    assert answer_cache.get(admitted(credential)) is None


def test_changed_content_makes_kept_answers_old(credential: Credential) -> None:
    tenant = credential.tenant
    other = Tenant.objects.get(pk=tenant.pk)
    answer_cache.put(admitted(credential), ANSWER)
    answer_cache.invalidate(tenant)
    assert answer_cache.get(admitted(credential)) is None
    answer_cache.invalidate(other)
    tenant.refresh_from_db()
    assert tenant.content_version == other.content_version == 2


# In the cache


def stored() -> dict[bytes, bytes]:
    """Every answer that this test kept, by its key in the real cache."""
    client, prefix = get_redis_connection("default"), caches["default"].key_prefix
    return {name: client.get(name) for name in client.scan_iter(match=f"{prefix}:*answer*")}


def test_neither_key_nor_value_tells_of_prompt_or_answer(credential: Credential) -> None:
    result = replace(ANSWER, choices=(Choice(f"{CANARY} answer", "stop"),))
    answer_cache.put(admitted(credential, asking(f"{CANARY} prompt", end_user=CANARY)), result)
    [(name, value)] = stored().items()
    assert b"canary" not in name + value


def other_call(credential: Credential) -> bytes:
    """What is stored for another call."""
    answer_cache.put(admitted(credential, asking("Other")), ANSWER)
    return next(iter(stored().values()))


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\xff\xfe", "other", "old", "shape", "cut"])
def test_what_is_no_answer_of_this_call_is_a_miss(credential: Credential, garbage: bytes | str) -> None:
    other = other_call(credential)
    key = answer_cache.key_of(admitted(credential))
    made = {
        "other": other,
        "old": secrets.seal(f'[0, "{key}", "m", [1], [["x", "stop", [], null]]]'.encode()),
        "shape": secrets.seal(f'[1, "{key}", "m", [1], [["x"]]]'.encode()),
        "cut": other[:-10],
    }
    answer_cache.put(admitted(credential), ANSWER)
    client = get_redis_connection("default")
    [name] = [name for name in stored() if name.endswith(key.encode())]
    client.set(name, made[garbage] if isinstance(garbage, str) else garbage)
    assert answer_cache.get(admitted(credential)) is None


def test_a_dead_cache_is_a_miss_that_is_not_waited_for_again(
    credential: Credential, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "COOLDOWN_S", 3600.0)
    run, tries = shared_cache.Script.run, []

    def counted(script: shared_cache.Script, *how: Any) -> Any:
        tries.append(script)
        return run(script, *how)

    monkeypatch.setattr(shared_cache.Script, "run", counted)
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    for _ in range(20):
        answer_cache.put(admitted(credential), ANSWER)
        assert answer_cache.get(admitted(credential)) is None
    assert len(tries) == 2  # the first one, and once more


@pytest.fixture
def local_cache(settings: Any) -> Iterator[None]:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "answers"}}
    yield
    caches["default"].clear()


@pytest.mark.usefixtures("local_cache")
def test_another_cache_than_redis_does_too(credential: Credential) -> None:
    answer_cache.put(admitted(credential), ANSWER)
    assert answer_cache.get(admitted(credential)) == ANSWER
    caches["default"].set(answer_cache._name(answer_cache.key_of(admitted(credential))), 7)
    assert answer_cache.get(admitted(credential)) is None


class Broken(LocMemCache):
    """A cache whose client raises what it likes."""

    def get(self, *_: Any, **__: Any) -> Any:
        raise OSError("gone")

    def set(self, *_: Any, **__: Any) -> None:
        raise OSError("gone")


def test_another_cache_that_fails_is_a_miss(credential: Credential, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.Broken", "LOCATION": "broken"}}
    answer_cache.put(admitted(credential), ANSWER)
    assert answer_cache.get(admitted(credential)) is None


# As a stream


def test_a_kept_answer_streams_word_by_word() -> None:
    calls = (ToolCall("1", "weather", '{"in": "Bern"}'), ToolCall("2", "time", "{}"))
    result = replace(ANSWER, choices=(Choice("  We open\n\nat nine. ", "tool_calls", calls),))
    deltas = list(answer_cache.deltas_of(result))

    assert [delta.text for delta in deltas if delta.text] == ["  We", " open", "\n\nat", " nine.", " "]
    pieces = [delta.tool_call for delta in deltas if delta.tool_call]
    assert [(piece.index, piece.id, piece.name, piece.arguments) for piece in pieces] == [
        (0, "1", "weather", '{"in": "Bern"}'),
        (1, "2", "time", "{}"),
    ]
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["tool_calls"]
    assert deltas[-1].usage == ANSWER.usage
    assert {delta.model for delta in deltas} == {"gpt-4o-mini"}
