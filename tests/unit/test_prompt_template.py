"""Template versions as rows: checked when they are saved, and never changed after."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from django_wp_ai.models import PromptTemplate
from django_wp_ai.models.prompt import language_tag
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def template(**fields: Any) -> PromptTemplate:
    return PromptTemplate.objects.create(**{"name": "summary", "prompt": "Sum up {text}.", **fields})


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("", ""),
        ("de", "de"),
        ("DE", "de"),
        ("pt_br", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("de_DE_formal", "de-DE-formal"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
    ],
)
def test_a_language_has_one_form_however_it_is_written(written: str, tag: str) -> None:
    assert language_tag(written) == tag


@pytest.mark.parametrize(
    "written", ["-", "de-", "_de", "d", "de DE", "de\n", "dé", "1a", "de--at", "a" * 36, "de-" * 2000]
)
def test_what_is_no_language_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a language tag"):
        language_tag(written)


def test_a_saved_language_is_in_its_usual_form() -> None:
    assert template(language="pt_br").language == "pt-BR"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prompt": "Sum up {text"}, "prompt"),
        ({"system": "You {are"}, "system"),
        ({"prompt": ""}, "prompt"),
        ({"name": "Summary"}, "name"),
        ({"name": "sum mary"}, "name"),
        ({"name": "summary\n"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"language": "german!"}, "language"),
        ({"language": "de-abcdefgh-abcdefgh"}, "language"),
        ({"version": 0}, "version"),
        ({"model": "m" * 129}, "model"),
    ],
)
def test_a_template_that_can_not_work_is_not_saved(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        template(**fields)
    assert list(caught.value.message_dict) == [named]
    assert not PromptTemplate.objects.exists()


def test_the_place_of_a_broken_brace_is_told_to_who_writes_it() -> None:
    with pytest.raises(ValidationError) as caught:
        template(prompt="First\nthen {so")
    assert caught.value.message_dict["prompt"] == ["Line 2, column 6: write a variable as {name}, a brace as {{ or }}."]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "other"),
        ("version", 2),
        ("language", "de"),
        ("system", "Be kind."),
        ("prompt", "Sum up {text}!"),
        ("model", "fast"),
    ],
)
def test_a_version_never_says_anything_else(field: str, value: Any) -> None:
    saved = template()
    setattr(saved, field, value)
    for change in (saved.save, saved.full_clean, lambda: PromptTemplate.objects.update(**{field: value})):
        with pytest.raises(ValidationError, match=f"Changed: {field}"):
            change()
    PromptTemplate.objects.get(name="summary", version=1, language="", system="", prompt="Sum up {text}.", model="")


def test_a_version_never_goes_to_another_tenant() -> None:
    mine = template(tenant=TenantFactory.create())
    other = TenantFactory.create()
    for change in (
        lambda: PromptTemplate.objects.update(tenant=other),
        lambda: PromptTemplate.objects.filter(pk=mine.pk).update(tenant_id=other.pk),
    ):
        with pytest.raises(ValidationError, match="Changed: tenant"):
            change()
    mine.tenant = None
    with pytest.raises(ValidationError, match="Changed: tenant"):
        mine.save()


def test_a_copy_of_a_row_can_not_change_it_either() -> None:
    saved = template()
    with pytest.raises(ValidationError, match="Changed: prompt"):
        PromptTemplate(pk=saved.pk, name="summary", prompt="Something else").save()


def test_a_version_is_switched_off_and_on() -> None:
    saved = template()
    saved.is_active = False
    saved.save()
    assert not PromptTemplate.objects.get().is_active
    assert PromptTemplate.objects.update(is_active=True) == 1


def test_numbers_go_on_for_each_tenant_and_language() -> None:
    tenant = TenantFactory.create()
    template(version=4)
    template(version=7, language="de")
    own = template(tenant=tenant, version=2)
    assert own.next_version() == 3
    assert PromptTemplate(name="summary", language="de").next_version() == 8
    assert PromptTemplate(name="summary").next_version() == 5
    assert PromptTemplate(name="another").next_version() == 1


def test_a_number_is_taken_once_for_shared_templates_too() -> None:
    template()
    template(tenant=TenantFactory.create())
    with pytest.raises(IntegrityError):
        template()


def test_a_template_tells_its_reference_and_variables() -> None:
    saved = template(version=3, language="de", system="You are {who}.", prompt="{text} for {who} {{not}}")
    assert saved.reference == "summary@3"
    assert saved.variables == ["who", "text"]
    assert str(saved) == "summary@3 (de)"
    assert str(template()) == "summary@1"
