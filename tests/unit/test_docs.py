"""The documentation agrees with the code, and its samples of settings and URLs work."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from decimal import Decimal
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.urls import URLPattern

from django_wp_ai import checks, cluster, conf, exceptions
from django_wp_ai.api import build, edge
from django_wp_ai.gateway.tools import registry as tools
from django_wp_ai.job_kinds import JobFailed
from django_wp_ai.models import Tenant
from django_wp_ai.models.site_policy import target_names
from django_wp_ai.providers import registry
from django_wp_ai.rag.extract import result
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.sources.base import SourceFailed
from django_wp_ai.security import legacy
from django_wp_ai.tools import ToolContext
from tests.samples import PAGES, ROOT, Sample, samples

DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table_rows(text: str, first: str) -> dict[str, list[str]]:
    """Rows of tables by their first cell, where that cell is code matching ``first``."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in rows if re.fullmatch(f"`{first}`", row[0])}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = table_rows(page("configuration.md"), "[A-Z_]+")
    defaults = {
        field.name.upper(): field.default if field.default is not MISSING else field.default_factory()  # type: ignore[misc]
        for field in fields(conf.Settings)
    }
    assert documented.keys() == defaults.keys()
    for name, value in defaults.items():
        shown = documented[name][0].strip("`")
        expected = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Decimal) else value
        assert eval(shown, {}) == expected, name


def test_every_check_is_documented() -> None:
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (checks, cluster))
    known = set(re.findall(r'"(django_wp_ai\.[A-Z]\d{3})"', source))
    assert set(table_rows(page("configuration.md"), r"django_wp_ai\.\w+")) == known


def error_classes(base: type[exceptions.WpAiError]) -> Iterator[type[exceptions.WpAiError]]:
    for error in base.__subclasses__():
        yield error
        yield from error_classes(error)


def test_every_error_code_is_documented_with_its_status() -> None:
    assert {edge.MethodNotAllowed, JobFailed, SourceFailed} <= set(error_classes(exceptions.WpAiError))
    known = {error.code: str(error.status) for error in error_classes(exceptions.WpAiError)}
    documented = {code: row[0] for code, row in table_rows(section(page("api.md"), "Errors"), "[a-z_]+").items()}
    assert documented == known


def test_every_way_in_which_a_file_is_not_read_is_documented() -> None:
    readable = section(page("documents.md"), "What can be read")
    assert table_rows(readable, "[a-z_]+").keys() == result.CODES.keys()


def test_every_bound_of_reading_is_one_of_the_hosts_settings() -> None:
    known = {field.name: field.default for field in fields(conf.Settings)}
    assert {field.name: field.default for field in fields(Limits)}.items() <= known.items()


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + re.sub(r"<(?:\w+:)?\w+>", "{id}", str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            yield path
        else:
            yield from routes(pattern.url_patterns, path)


def test_every_route_is_documented() -> None:
    text = page("api.md")
    paths = {path for path in routes(list(build.patterns)) if re.match(r"(v1|webhooks|health)/", path)}
    assert paths, "no routes found"
    assert {path for path in paths if path not in text} == set()


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Long options of a parser and of its verbs; Django's own and the hidden ones are left out."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from options_of(verb)
        elif action.help is not argparse.SUPPRESS:
            yield from (option for option in action.option_strings if option.startswith("--"))


DJANGOS_OWN = set(options_of(load_command_class("django.core", "check").create_parser("", ""))) - {"--tag"}


@pytest.mark.parametrize(
    "command",
    [
        "wp_ai_tenant",
        "wp_ai_callbacks",
        "wp_ai_credential",
        "wp_ai_usage",
        "wp_ai_eval",
        "wp_ai_jobs",
        "wp_ai_documents",
    ],
)
def test_a_commands_verbs_and_options_are_documented(command: str) -> None:
    parser = load_command_class("django_wp_ai", command).create_parser("manage.py", command)
    text = section(page("commands.md"), command)
    known = set(options_of(parser)) - DJANGOS_OWN - {"--json"}
    assert set(re.findall(r"`(--[a-z-]+)", text)) - {"--json"} == known
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    verbs = {verb for one in choices for verb in one}
    documented = re.findall(r"^\| `(\w+)(?: [A-Z][^`]*)?` \|", text, re.MULTILINE)
    assert verbs == set(documented)


def test_every_signature_profile_is_documented() -> None:
    documented = table_rows(section(page("authentication.md"), "Older HMAC profiles"), "[a-z-]+")
    assert documented.keys() == legacy.PROFILES.keys()
    for name, row in documented.items():
        assert f"`{legacy.PROFILES[name].header}" in row[0].lower() or row[0].startswith("the same")


def test_every_provider_option_is_documented() -> None:
    first_cells = re.findall(r"^\| (`[^|]+) \|", section(page("providers.md"), "Options"), re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"\w+", cell)}
    known: set[str] = set()
    for name in registry.BUILT_IN:
        known |= registry.build(name, {"api_key": "k"} if name != "offline" else {}).options
    assert documented == known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Any) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(#[^)]*)?\)", text)
    broken = [target for target, _ in targets if "://" not in target and not (path.parent / target).exists()]
    assert broken == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = set(re.findall(r": (\w+\.md)$", (ROOT / ".mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert navigation == {path.name for path in DOCS.glob("*.md")}


def test_the_readme_has_the_two_commands_as_they_are_run() -> None:
    commands = {sample.source.strip() for sample in samples() if sample.page == "README.md"}
    install = "python3 -m venv .venv && .venv/bin/pip install"
    demo = f'{install} -e ".[demo]" && .venv/bin/python example_project/manage.py demo'
    tests = f"{install} tox && .venv/bin/tox run"
    assert {demo, tests} <= commands
    assert tests in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_sample_of_code_says_how_it_is_run() -> None:
    unmarked = [
        sample.id
        for sample in samples()
        if not sample.kind
        and sample.page != "README.md"
        and (sample.language in {"python", "php"} or "curl " in sample.source)
    ]
    assert unmarked == []
    run = {"settings", "urls", "client", "shell", "php", "tools", "asgi", "receiver", "job", "result", "kinds"}
    assert {sample.kind for sample in samples()} == {"", *run}


@pytest.mark.parametrize("sample", samples("settings"), ids=lambda sample: sample.id)
def test_a_sample_of_settings_is_accepted(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    host: dict[str, Any] = {"INSTALLED_APPS": []}
    exec(sample.source, host)
    written = {name for name in host if name.isupper()}
    assert written
    settings = conf.load(host.get("DJANGO_WP_AI", {}))
    built = {name: registry.build(name, options) for name, options in settings.providers.items()}
    for target in [target for alias in settings.model_aliases.values() for target in target_names(alias)]:
        provider, _, model = target.partition(":")
        assert built[provider].serves(model)


@pytest.mark.parametrize("sample", samples("tools"), ids=lambda sample: sample.id)
def test_a_sample_of_tools_registers_and_runs(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, tools.RegisteredTool] = {}
    monkeypatch.setattr(tools, "_registered", registered)
    exec(sample.source, {"__name__": "wp_ai_tools"})
    assert registered
    for found in registered.values():
        assert found.description
        assert found.arguments.schema["properties"]
        given = found.arguments.read('{"number": 1042}', ToolContext(Tenant(slug="a-site")))
        assert found.function(**given)


@pytest.mark.parametrize("sample", samples("urls"), ids=lambda sample: sample.id)
def test_a_sample_of_urls_is_accepted(sample: Sample) -> None:
    urls: dict[str, Any] = {}
    exec(sample.source, urls)
    assert "v1/chat" in set(routes(urls["urlpatterns"][0].url_patterns))


@pytest.mark.parametrize("sample", samples("asgi"), ids=lambda sample: sample.id)
def test_a_sample_of_an_asgi_module_makes_an_application(sample: Sample) -> None:
    module: dict[str, Any] = {}
    exec(sample.source, module)
    assert iscoroutinefunction(module["application"])
