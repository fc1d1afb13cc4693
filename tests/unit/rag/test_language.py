"""Languages are told offline, and where they can't be, nothing is claimed."""

from __future__ import annotations

import importlib.util

import pytest

from django_wp_ai.rag import language
from django_wp_ai.rag.language import detect
from tests.unit.policy.content.test_hostile_text import cpu_s

TEXTS = {
    "en": "The opening hours of our shop have changed since the beginning of the month.",
    "de": "Die Öffnungszeiten unseres Ladens haben sich seit Anfang des Monats geändert.",
    "fr": "Les heures d'ouverture de notre magasin ont changé depuis le début du mois.",
    "es": "El horario de apertura de nuestra tienda ha cambiado desde principios de mes.",
    "it": "Gli orari di apertura del nostro negozio sono cambiati dall'inizio del mese.",
    "nl": "De openingstijden van onze winkel zijn sinds het begin van de maand gewijzigd.",
    "pt": "O horário de funcionamento da nossa loja mudou desde o início do mês.",
    "ja": "当店の営業時間は今月の初めから変わりました。",
    "zh": "我们商店的营业时间从本月初开始有所改变。",
    "ko": "저희 가게의 영업 시간이 이달 초부터 바뀌었습니다.",
    "ru": "Часы работы нашего магазина изменились с начала месяца.",
    "uk": "Години роботи нашого магазину змінилися з початку місяця.",
    "ar": "تغيرت ساعات عمل متجرنا منذ بداية الشهر.",
    "fa": "ساعات کار فروشگاه ما از ابتدای ماه تغییر کرده است.",
    "he": "שעות הפתיחה של החנות שלנו השתנו מתחילת החודש.",
    "el": "Οι ώρες λειτουργίας του καταστήματός μας άλλαξαν από την αρχή του μήνα.",
    "th": "เวลาเปิดทำการของร้านเราเปลี่ยนไปตั้งแต่ต้นเดือน",
    "hi": "महीने की शुरुआत से हमारी दुकान के खुलने का समय बदल गया है।",
    "pl": "Godziny otwarcia naszego sklepu zmieniły się od początku miesiąca.",
    "sv": "Våra öppettider har ändrats sedan början av månaden.",
    "tr": "Mağazamızın çalışma saatleri ayın başından beri değişti.",
    "vi": "Giờ mở cửa của cửa hàng chúng tôi đã thay đổi từ đầu tháng.",
    "cs": "Otevírací doba našeho obchodu se od začátku měsíce změnila.",
}
BY_SCRIPT = {"ja", "zh", "ko", "he", "el", "th"}


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_enough(code: str) -> None:
    assert detect(TEXTS[code]) == code
    assert detect(f"# {TEXTS[code]}\n\n" * 200) == code


@pytest.mark.parametrize(
    "text", ["", " \n", "12345 €", "OK", "foo bar baz qux", "https://example.org/a/b", "😀😀😀😀😀", "\ud800"]
)
def test_what_can_not_be_told_is_not_claimed(text: str) -> None:
    assert detect(text) == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("WordPress の設定画面", "ja"),
        ("東京タワー", "ja"),
        (f"{TEXTS['ru']} {TEXTS['ru']} WordPress plugin settings", "ru"),
        (f"{TEXTS['de']} {TEXTS['de']} {TEXTS['en']}", "de"),
        (f"{TEXTS['ja']} {TEXTS['en'][:20]}", "ja"),
    ],
)
def test_a_mixed_text_is_in_its_main_language(text: str, code: str) -> None:
    assert detect(text) == code


def test_code_and_addresses_are_no_language() -> None:
    code = "```python\n" + "return the value of this and that for all of them\n" * 20 + "```\n"
    assert detect(code + TEXTS["de"]) == "de"
    assert detect("https://example.org/the/opening/hours/of/our/shop " * 20 + TEXTS["de"]) == "de"


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(language, "_classifier", language._classifier.__wrapped__)  # the loaded one is kept for others


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize("code", TEXTS)
def test_without_the_library_the_script_tells_or_nothing_does(code: str) -> None:
    assert detect(TEXTS[code]) == (code if code in BY_SCRIPT else "")


@pytest.mark.parametrize("piece", ["`", "```", "`a", "~", "/", "<", "<a", "x", "漢", "a@b ", "\u0301"])
def test_a_long_text_costs_no_more_than_its_beginning(piece: str) -> None:
    detect(TEXTS["en"])
    small, large = piece * 10_000, piece * 160_000
    assert cpu_s(lambda: detect(large)) < cpu_s(lambda: detect(small)) * 8 + 0.002
