"""Filling in a site's templates: which one is taken, and what variables may be."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway import prompts
from django_wp_ai.models import PromptTemplate, Tenant
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def template(prompt: str = "Sum up {text}.", **fields: Any) -> PromptTemplate:
    return PromptTemplate.objects.create(**{"name": "summary", "prompt": prompt, **fields})


def chosen(tenant: Tenant, reference: str = "summary", language: str = "") -> str:
    """The text of the template that is taken."""
    return prompts.expand(tenant, reference=reference, variables={}, language=language).prompt


def refused(tenant: Tenant, variables: Any, reference: str = "summary") -> dict[str, str]:
    """The messages of a refusal by field."""
    with pytest.raises(Invalid) as caught:
        prompts.expand(tenant, reference=reference, variables=variables)
    return {error["field"]: error["message"] for error in caught.value.errors}


def test_a_template_is_filled_in_with_one_query(tenant: Tenant, django_assert_num_queries: Any) -> None:
    template("Sum up {text} in {count} words.", system="You serve {who}.", model="fast", version=3)
    with django_assert_num_queries(1):
        expanded = prompts.expand(
            tenant, reference="summary", variables={"text": "{who}", "count": 20, "who": "a bakery"}, language="de"
        )
    assert expanded == prompts.Expanded(
        "You serve a bakery.", "Sum up {who} in 20 words.", model="fast", reference="summary@3", language=""
    )


def test_the_highest_active_version_is_taken_unless_one_is_named(tenant: Tenant) -> None:
    for version in (1, 2, 10):
        template(f"v{version}", version=version)
    template("v11", version=11, is_active=False)
    assert chosen(tenant) == "v10"
    assert chosen(tenant, "summary@2") == "v2"


def test_the_tenants_own_come_before_the_shared_ones_whatever_their_number(tenant: Tenant) -> None:
    template("shared", version=9)
    template("own", tenant=tenant)
    template("another's", tenant=TenantFactory.create(), version=20)
    assert chosen(tenant) == "own"
    assert chosen(tenant, "summary@9") == "shared"
    assert chosen(TenantFactory.create()) == "shared"


def test_another_tenants_template_is_not_there(tenant: Tenant) -> None:
    template(tenant=TenantFactory.create())
    for reference in ("summary", "summary@1"):
        with pytest.raises(NotFound, match="no active prompt template summary"):
            chosen(tenant, reference)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("pt-BR", "brazil"),
        ("pt_BR", "brazil"),
        ("PT-br", "brazil"),
        ("pt-PT", "portuguese"),
        ("pt", "portuguese"),
        ("pt-BR-formal", "brazil"),
        ("de", "any"),
        ("", "any"),
    ],
)
def test_the_longest_fitting_language_is_taken(tenant: Tenant, asked: str, text: str) -> None:
    template("any", version=8)
    template("portuguese", language="pt", version=2)
    template("brazil", language="pt-BR")
    template("german of Austria", language="de-AT")
    assert chosen(tenant, language=asked) == text


def test_a_shared_template_serves_a_language_that_the_tenants_own_do_not(tenant: Tenant) -> None:
    template("own german", tenant=tenant, language="de")
    template("shared")
    assert chosen(tenant, language="de") == "own german"
    assert chosen(tenant, language="fr") == "shared"


def test_without_a_fitting_language_there_is_no_template(tenant: Tenant) -> None:
    template(language="de")
    with pytest.raises(NotFound, match="summary in fr or without a language"):
        chosen(tenant, language="fr")


def test_a_version_that_is_switched_off_is_refused_by_name(tenant: Tenant) -> None:
    template("shared", version=2)
    template("own", tenant=tenant, version=2, is_active=False)
    with pytest.raises(NotFound, match="summary@2 is not active"):
        chosen(tenant, "summary@2")
    assert chosen(tenant) == "shared"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@1",
        "summary@",
        "summary@0",
        "summary@-1",
        "summary@1.5",
        "summary@1@2",
        "summary@x",
        "summary@9999999999",
        "summary@١",
        "summary\n",
        "Summary",
        "a" * 65,
    ],
)
def test_a_reference_that_can_not_be_one_is_refused(tenant: Tenant, reference: str) -> None:
    assert list(refused(tenant, {}, reference)) == ["prompt_template"]


def test_a_language_that_can_not_be_one_is_refused(tenant: Tenant) -> None:
    with pytest.raises(Invalid) as caught:
        chosen(tenant, language="de" + "-a" * 40)
    assert caught.value.errors[0]["field"] == "language"


def test_missing_and_unknown_variables_are_all_listed(tenant: Tenant) -> None:
    template("{one} {two} {three}")
    assert refused(tenant, {"two": "2", "four": "4", "f" * 200: ""}) == {
        "variables.one": "The template needs this variable.",
        "variables.three": "The template needs this variable.",
        "variables.four": "The template has no such variable.",
        "variables." + "f" * 64: "The template has no such variable.",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [("", ""), ("a", "a"), (0, "0"), (-7, "-7"), (1.5, "1.5"), (True, "true"), (False, "false"), ("{text}", "{text}")],
)
def test_plain_values_are_put_in_as_they_are_written_in_json(tenant: Tenant, value: Any, text: str) -> None:
    template("<{text}>")
    assert prompts.expand(tenant, reference="summary", variables={"text": value}).prompt == f"<{text}>"


@pytest.mark.parametrize("value", [None, [], {}, b"x", float("nan"), float("inf"), pytest.param(10**5000, id="huge")])
def test_a_variable_is_a_plain_value(tenant: Tenant, value: Any) -> None:
    template()
    assert refused(tenant, {"text": value}) == {"variables.text": "A variable is a text, a number, true or false."}


def test_values_are_bounded_one_by_one_and_together(tenant: Tenant, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_BODY_BYTES": 100}
    template("{a}", name="short")
    template("{a}" * 10, name="often")
    assert refused(tenant, {"a": "x" * 101}, "short") == {"variables.a": "At most 100 characters."}
    assert refused(tenant, {"a": "x" * 20}, "often") == {
        "variables": "The filled-in template has more than 100 characters."
    }
    assert prompts.expand(tenant, reference="often", variables={"a": "xxxx"}).prompt == "x" * 40


def test_a_broken_template_in_the_table_is_a_clear_refusal(tenant: Tenant) -> None:
    PromptTemplate.objects.bulk_create([PromptTemplate(name="summary", prompt="{text")])
    assert refused(tenant, {}) == {"prompt_template": "The template summary@1 is broken: line 1, column 1."}
