from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from django_wp_ai.jobs import room
from tests import library
from tests.caches import clean_cache
from tests.factories import TenantFactory

__all__ = ["clean_cache"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]

QUESTIONS = [
    {"id": "toilet", "question": "toilet at platform 1?", "language": "en", "relevant": ["page-203"]},
    {"id": "both", "question": "card payment", "language": "en", "relevant": ["page-201", "page-203"]},
    {"id": "gone", "question": "Öffnungszeiten", "language": "de", "relevant": ["page-999"]},
    {"id": "none", "question": "Who won?", "language": "en", "unanswerable": True},
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    return str(path)


@pytest.fixture
def site():
    room._places.clear()
    tenant = TenantFactory.create(slug="bakery")
    library.index(tenant, [new for new in library.posts() if new.source_id in {"page-201", "page-203"}])
    return tenant


def test_people_get_a_table_of_modes_and_languages(shell, file, site):
    lines = [line.split() for line in shell.run("wp_ai_eval", file, "--tenant", "bakery").splitlines()]
    assert lines[0] == ["mode", "language", "questions", "recall@5", "MRR", "nDCG@10"]
    assert [line[:3] for line in lines[1:]] == [
        [mode, language, count]
        for mode in ("hybrid", "vector", "text")
        for language, count in (("all", "3"), ("de", "1"), ("en", "2"))
    ]
    assert lines[3][3:] == ["1.000", "1.000", "1.000"]
    assert lines[2][3:] == ["0.000", "0.000", "0.000"]


def test_programs_get_figures_of_the_wished_mode_and_places(shell, file, site):
    told = shell.json("wp_ai_eval", file, "--tenant", "bakery", "--mode", "text", "--k", "1", "--misses")
    assert (told["tenant"], told["k"]) == ("bakery", 1)
    assert {row["mode"] for row in told["figures"]} == {"text"}
    assert told["figures"][2]["recall@1"] == 0.75
    missed = {row["id"]: row for row in told["misses"]}
    assert missed.keys() == {"both", "gone"}
    assert missed["gone"]["missing"] == ["page-999"]
    assert "answers" not in told


def test_misses_stand_below_the_table(shell, file, site):
    printed = shell.run("wp_ai_eval", file, "--tenant", "bakery", "--mode", "hybrid", "--misses")
    assert "page-999" in printed.partition("\n\n")[2]
    assert "toilet" not in printed.partition("\n\n")[2]


def test_answers_are_measured_on_request(shell, file, site):
    told = shell.json("wp_ai_eval", file, "--tenant", "bakery", "--mode", "hybrid", "--answers")
    everything = told["answers"][0]
    assert (everything["language"], everything["questions"]) == ("all", 4)
    assert everything["says_it"] is None
    assert everything["supported"] >= everything["cites_relevant"] > 0
    assert "declined" in shell.run("wp_ai_eval", file, "--tenant", "bakery", "--mode", "hybrid", "--answers")


def test_too_little_recall_is_an_error_after_the_figures(file, site, capsys):
    call_command("wp_ai_eval", file, "--tenant", "bakery", "--mode", "text", "--min-recall", "0.6")
    with pytest.raises(CommandError, match=r"Recall in mode text is 0\.667, less than 0\.9\."):
        call_command("wp_ai_eval", file, "--tenant", "bakery", "--mode", "text", "--min-recall", "0.9")
    assert capsys.readouterr().out.count("recall@5") == 2


def test_a_file_of_unanswerable_questions_has_no_figures(shell, tmp_path, site):
    path = tmp_path / "none.jsonl"
    path.write_text(json.dumps(QUESTIONS[-1]), encoding="utf-8")
    assert "nothing to be found" in shell.run("wp_ai_eval", str(path), "--tenant", "bakery")
    assert shell.json("wp_ai_eval", str(path), "--tenant", "bakery")["figures"] == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no question"),
        (b"{}", "Line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (None, "can't be read"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, content, why):
    path = tmp_path / "questions.jsonl"
    if content is not None:
        path.write_bytes(content)
    TenantFactory.create(slug="bakery")
    with pytest.raises(CommandError, match=why):
        call_command("wp_ai_eval", str(path), "--tenant", "bakery")


def test_a_folder_and_a_name_that_is_no_path_are_no_files(tmp_path):
    for name in (str(tmp_path), "a\0b"):
        with pytest.raises(CommandError, match="can't be read"):
            call_command("wp_ai_eval", name, "--tenant", "bakery")


@pytest.mark.parametrize(
    "wrong",
    [("--k", "0"), ("--k", "51"), ("--k", "x"), ("--min-recall", "2"), ("--min-recall", "nan"), ("--mode", "best")],
)
def test_a_wrong_option_is_refused(file, wrong):
    with pytest.raises(CommandError):
        call_command("wp_ai_eval", file, "--tenant", "bakery", *wrong)


def test_an_unknown_tenant_is_refused(file):
    with pytest.raises(CommandError, match="nobody"):
        call_command("wp_ai_eval", file, "--tenant", "nobody")
