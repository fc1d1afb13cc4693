"""Tokens are counted where the data is at hand, estimated else, and never is anything fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
import tiktoken.registry
from hypothesis import given
from hypothesis import strategies as st

from django_wp_ai.rag import tokens
from django_wp_ai.rag.tokens import counter, estimate
from tests.unit.policy.content.test_hostile_text import cpu_s

#: What cl100k_base makes of them, counted once with its data.
KNOWN = {
    "The opening hours of our shop have changed since the beginning of the month. Please ask at the desk if you need "
    "help with your order.": 28,
    "Die Öffnungszeiten unseres Ladens haben sich seit Anfang des Monats geändert. Bitte fragen Sie am Schalter, wenn "
    "Sie Hilfe brauchen.": 37,
    "Les heures d'ouverture de notre magasin ont changé depuis le début du mois. Veuillez demander au comptoir si vous "
    "avez besoin d'aide.": 34,
    "当店の営業時間は今月の初めから変わりました。ご注文についてお困りのときは窓口でお尋ねください。": 47,
    "저희 가게의 영업 시간이 이달 초부터 바뀌었습니다. 주문에 도움이 필요하시면 창구에 문의하십시오.": 53,
    "Часы работы нашего магазина изменились с начала месяца. Если вам нужна помощь с заказом, спросите у стойки.": 45,
    "שעות הפתיחה של החנות שלנו השתנו מתחילת החודש. אנא שאלו בדלפק אם אתם זקוקים לעזרה.": 75,
    "เวลาเปิดทำการของร้านเราเปลี่ยนไปตั้งแต่ต้นเดือน กรุณาสอบถามที่เคาน์เตอร์หากคุณต้องการความช่วยเหลือ": 87,
}


@pytest.mark.parametrize("text", KNOWN)
def test_the_estimate_is_near_and_rather_too_high(text: str) -> None:
    assert 0.9 <= estimate(text) / KNOWN[text] <= 1.75


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_text_has_a_number_and_only_none_has_no_tokens(text: str) -> None:
    assert (estimate(text) == 0) == (text == "")
    assert estimate(text) <= 4 * len(text)


@pytest.mark.parametrize("piece", ["x", "X", " ", "\n", "1", "!", "é", "漢", "😀", "a b"])
def test_twice_the_text_is_about_twice_the_work(piece: str) -> None:
    text = piece * 20_000
    assert cpu_s(lambda: estimate(text * 4)) < cpu_s(lambda: estimate(text)) * 8 + 0.001


@pytest.fixture(autouse=True)
def no_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    tokens._tiktoken.cache_clear()
    yield
    tokens._tiktoken.cache_clear()


def test_without_its_data_tiktoken_is_not_asked() -> None:
    assert counter() is estimate


def test_a_folder_without_the_file_is_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert counter() is estimate
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert counter() is estimate


def test_a_damaged_file_is_left_alone_and_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    file = tmp_path / tokens._FILE
    file.write_bytes(b"half of it")
    assert counter() is estimate
    assert file.read_bytes() == b"half of it"


def test_with_its_data_tiktoken_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / tokens._FILE).write_bytes(b"the data")
    monkeypatch.setattr(tokens, "_SHA256", hashlib.sha256(b"the data").hexdigest())
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    small = tiktoken.Encoding("cl100k_base", pat_str=r"\w+|\W", mergeable_ranks=ranks, special_tokens={"<|x|>": 300})
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, "cl100k_base", small)
    count = counter()
    assert count("abab") == 2
    assert count("<|x|>") == 5
    assert count("\ud800") == 3
    assert count("") == 0
