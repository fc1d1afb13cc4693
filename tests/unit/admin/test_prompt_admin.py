from __future__ import annotations

import pytest

from django_wp_ai.models import PromptTemplate
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/prompttemplate/"
FORM = {"tenant": "", "name": "summary", "language": "", "version": "1", "model": "", "system": "", "is_active": "on"}


@pytest.fixture
def template():
    return PromptTemplate.objects.create(
        tenant=TenantFactory(slug="bakery", name="Bakery"),
        name="summary",
        version=3,
        language="de",
        system="You are {who}.",
        prompt="Sum up {text}.",
        model="fast",
    )


def page(template):
    return f"{LIST}{template.pk}/change/"


def fields(response):
    return response.context["adminform"].form.fields


def test_a_template_is_written_and_checked(admin_client):
    refused = admin_client.post(f"{LIST}add/", {**FORM, "prompt": "Sum up {text"})
    assert refused.context["adminform"].form.errors == {
        "prompt": ["Line 1, column 8: write a variable as {name}, a brace as {{ or }}."]
    }
    saved = admin_client.post(f"{LIST}add/", {**FORM, "prompt": "Sum up {text}", "language": "pt_br"})
    assert saved.status_code == 302
    assert PromptTemplate.objects.get().language == "pt-BR"


def test_a_number_that_is_taken_is_refused_with_a_sentence(admin_client, template):
    form = {**FORM, "tenant": template.tenant_id, "version": "3", "language": "de", "prompt": "Other"}
    response = admin_client.post(f"{LIST}add/", form)
    assert "already exists" in str(response.context["adminform"].form.errors)
    assert PromptTemplate.objects.count() == 1


def test_a_saved_version_can_only_be_switched_off(admin_client, template):
    assert list(fields(admin_client.get(page(template)))) == ["is_active"]
    admin_client.post(page(template), {"prompt": "Something else", "version": "9"})
    template.refresh_from_db()
    assert (template.prompt, template.version, template.is_active) == ("Sum up {text}.", 3, False)


def test_a_version_is_never_deleted(admin_client, template):
    assert admin_client.post(f"{LIST}{template.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in admin_client.get(LIST).content.decode()


def test_a_new_version_begins_with_the_old_text_and_the_next_number(admin_client, template):
    shown = admin_client.get(page(template)).content.decode()
    assert f'href="{LIST}add/?from={template.pk}"' in shown
    initial = admin_client.get(f"{LIST}add/?from={template.pk}").context["adminform"].form.initial
    assert initial == {
        "tenant": template.tenant_id,
        "name": "summary",
        "language": "de",
        "version": 4,
        "model": "fast",
        "system": "You are {who}.",
        "prompt": "Sum up {text}.",
    }
    admin_client.post(f"{LIST}add/", {**initial, "prompt": "Sum up {text}!", "is_active": "on"})
    assert PromptTemplate.objects.get(version=4).prompt == "Sum up {text}!"
    assert "summary@4" in admin_client.get(page(template)).content.decode()


@pytest.mark.parametrize("source", ["", "0", "x", "999", "' OR 1", "9" * 30])
def test_a_new_version_of_nothing_is_an_empty_form(admin_client, source):
    response = admin_client.get(f"{LIST}add/", {"from": source})
    assert response.status_code == 200
    assert response.context["adminform"].form.initial == {}


def test_who_may_add_and_not_view_does_not_read_the_old_text(log_in, template):
    response = log_in("add_prompttemplate").get(f"{LIST}add/?from={template.pk}")
    assert response.status_code == 200
    assert response.context["adminform"].form.initial == {}


def test_the_action_opens_the_form_for_one_selected_template(admin_client, template):
    other = PromptTemplate.objects.create(name="other", prompt="x")
    one = {"action": "new_version", "_selected_action": [template.pk]}
    assert admin_client.post(LIST, one).url == f"{LIST}add/?from={template.pk}"
    response = admin_client.post(LIST, {**one, "_selected_action": [template.pk, other.pk]}, follow=True)
    assert "Select one template." in response.content.decode()


def test_the_list_shows_whose_it_is_and_what_a_call_must_give(admin_client, template):
    PromptTemplate.objects.create(name="greeting", prompt="Say hi", is_active=False)
    text = admin_client.get(LIST).content.decode()
    for shown in ("summary@3", "Bakery", "who, text", "active", "greeting@1", "all", "off"):
        assert shown in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "sum"}, 1),
        ({"q": "You are"}, 1),
        ({"q": "bakery"}, 1),
        ({"q": "nothing"}, 0),
        ({"language": "de"}, 1),
        ({"is_active__exact": "0"}, 1),
    ],
)
def test_templates_are_found(admin_client, template, query, found):
    PromptTemplate.objects.create(name="greeting", prompt="Say hi", is_active=False)
    assert admin_client.get(LIST, query).context["cl"].result_count == found


def test_who_may_only_view_sees_no_way_to_change(viewer, log_in, template):
    shown = viewer.get(page(template))
    assert "Sum up {text}." in shown.content.decode()
    assert "New version" not in shown.content.decode()
    assert viewer.post(page(template), {}).status_code == 403
    assert log_in("view_tenant").get(LIST).status_code == 403
