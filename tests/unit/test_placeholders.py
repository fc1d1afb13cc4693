"""The syntax of prompt templates: nothing a value holds becomes structure, nothing is evaluated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_wp_ai.models.placeholders import BrokenPlaceholder, fill, names

BRACED = st.text(alphabet="{}a_.[]!:0 \n%$\\")
NAME = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


def test_variables_are_put_in_and_doubled_braces_are_braces() -> None:
    assert fill('Say {what} as {{"text": "{what}"}} {{{what}}}.', {"what": "hi"}) == 'Say hi as {"text": "hi"} {hi}.'


def test_the_names_come_as_often_as_they_stand_there() -> None:
    assert names("{b} {a} {{c}} {b}") == ["b", "a", "b"]


@given(value=BRACED, other=BRACED)
def test_a_value_stays_text_whatever_braces_it_has(value: str, other: str) -> None:
    assert fill("<{a}|{b}>", {"a": value, "b": other}) == f"<{value}|{other}>"


@given(value=st.text())
def test_a_value_that_names_another_variable_is_not_filled_in_again(value: str) -> None:
    assert fill("{a}{b}", {"a": "{b}", "b": value}) == "{b}" + value


@given(text=BRACED)
def test_a_text_with_its_braces_doubled_comes_out_as_it_was(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(text=BRACED, name=NAME)
def test_a_text_is_either_refused_or_filled_in_and_both_functions_agree(text: str, name: str) -> None:
    text += f"{{{name}}}"
    try:
        found = names(text)
    except BrokenPlaceholder:
        with pytest.raises((BrokenPlaceholder, KeyError)):
            fill(text, {})
    else:
        assert found[-1] == name
        assert "\0" in fill(text, dict.fromkeys(found, "\0"))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{a",
        "a}",
        "{}",
        "{0}",
        "{a.b}",
        "{a.__class__}",
        "{a[0]}",
        "{a!r}",
        "{a:>9}",
        "{a:{b}}",
        "{ a }",
        "{A}",
        "{1a}",
        "{ä}",
        "{a-b}",
        "{{a}",
        "{a}}",
        "{{{a}}",
        "{" + "a" * 65 + "}",
        "{a\n}",
    ],
)
def test_a_brace_that_is_neither_doubled_nor_a_variable_is_refused(text: str) -> None:
    with pytest.raises(BrokenPlaceholder):
        names(text)
    with pytest.raises(BrokenPlaceholder):
        fill(text, {"a": "x", "b": "y"})


def test_the_place_of_a_broken_brace_is_told() -> None:
    with pytest.raises(BrokenPlaceholder) as caught:
        names("one {a}\ntwo {b}\n  {three")
    assert (caught.value.line, caught.value.column) == (3, 3)
    assert str(caught.value) == "line 3, column 3"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{a}", {})
