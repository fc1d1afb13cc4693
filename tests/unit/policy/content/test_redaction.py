"""Personal data is found in five languages, and comes back as it was: whole, in streams and inside JSON."""

from __future__ import annotations

import json
import logging
import pickle
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_wp_ai.policy.content.detectors.patterns import InvalidPattern
from django_wp_ai.policy.content.detectors.phones import plan
from django_wp_ai.policy.content.redaction import InvalidLocale, Redactor, Restorer, Vault, redactor, regions
from tests.unit.policy.content.corpus import SAMPLES, Sample

EVERYTHING = redactor()


def hidden(text: str, *locales: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in redactor(locales).find(text)]


def streamed(vault: Vault, chunks: list[str]) -> str:
    restorer = Restorer(vault)
    return "".join([*map(restorer.feed, chunks), restorer.flush()])


def test_the_corpus_has_forty_texts_or_more_of_each_language_with_and_without_data() -> None:
    assert min(Counter(sample.locale for sample in SAMPLES).values()) >= 40
    assert min(Counter(sample.locale for sample in SAMPLES if not sample.expected).values()) >= 15
    assert len({sample.text for sample in SAMPLES}) == len(SAMPLES) >= 200


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.locale}: {sample.text}")
def test_exactly_the_personal_data_of_a_text_is_hidden_and_comes_back(sample: Sample) -> None:
    assert tuple(hidden(sample.text, sample.locale)) == sample.expected
    assert tuple(hidden(sample.text)) == sample.expected, "with the detectors of all locales"
    vault = Vault()
    redacted = EVERYTHING.redact(sample.text, vault)
    assert not [value for _, value in sample.expected if value in redacted]
    assert vault.restore(redacted) == sample.text
    assert streamed(vault, list(redacted)) == sample.text


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.lists(st.integers(0, 200), max_size=8))
def test_a_stream_is_restored_wherever_its_chunks_end(sample: Sample, cuts: list[int]) -> None:
    vault = Vault()
    redacted = EVERYTHING.redact(sample.text, vault)
    ends = sorted({min(cut, len(redacted)) for cut in cuts} | {0, len(redacted)})
    chunks = [redacted[a:b] for a, b in pairwise(ends)]
    assert streamed(vault, chunks) == sample.text


_PIECES = [
    "a@b.example",
    "[EMAIL_1]",
    "[email 1]",
    "\\[EMAIL_1\\]",
    "［EMAIL_1］",
    "[LITERAL_1]",
    "[",
    "]",
    "\\",
    " ",
    "é",
    "\u200b",
]


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=5)), max_size=12).map("".join), st.integers(1, 7))
def test_any_text_comes_back_as_it_was(text: str, size: int) -> None:
    vault = Vault()
    redacted = EVERYTHING.redact(text, vault)
    assert vault.restore(redacted) == text
    assert streamed(vault, [redacted[i : i + size] for i in range(0, len(redacted), size)]) == text
    as_json = json.dumps({"text": redacted})
    assert json.loads(vault.restore_json(as_json)) == {"text": text}


def test_one_value_has_one_placeholder_in_all_texts_of_a_call() -> None:
    vault = Vault()
    assert EVERYTHING.redact("You mail a@b.example.", vault) == "You mail [EMAIL_1]."
    assert EVERYTHING.redact("c@d.example knows a@b.example", vault) == "[EMAIL_2] knows [EMAIL_1]"
    assert vault.counts == {"EMAIL": 2}


def test_a_placeholder_that_a_user_typed_is_neither_filled_nor_confused() -> None:
    vault = Vault()
    texts = [
        "Mail a@b.example",
        "What does [EMAIL_1] or [email 1] or \\[EMAIL\\_1\\] mean?",
        "And [LITERAL_1], [EMAIL_2]?",
    ]
    redacted = [EVERYTHING.redact(text, vault) for text in texts]
    assert redacted[1] == "What does [LITERAL_1] or [LITERAL_2] or [LITERAL_3] mean?"
    assert [vault.restore(text) for text in redacted] == texts
    assert vault.restore("[EMAIL_1] is theirs") == "a@b.example is theirs"


@pytest.mark.parametrize(
    "written",
    [
        "[EMAIL_1]",
        "[email_1]",
        "[Email 1]",
        "[EMAIL-1]",
        "[ EMAIL_1 ]",
        "［EMAIL_1］",
        "【email_１】",
        "\\[EMAIL\\_1\\]",
    ],
)
def test_a_placeholder_that_a_model_changed_a_little_is_filled(written: str) -> None:
    vault = Vault()
    vault.hide("EMAIL", "a@b.example")
    assert vault.restore(f"To {written}.") == streamed(vault, list(f"To {written}.")) == "To a@b.example."


@pytest.mark.parametrize(
    "written", ["[EMAIL_2]", "[EMAIL_0]", "EMAIL_1", "[EMAIL_1", "[PHONE_1]", "[EMAIL]", "[EMAILS_1]", "[1]"]
)
def test_what_names_nothing_hidden_stays_as_it_is(written: str) -> None:
    vault = Vault()
    vault.hide("EMAIL", "a@b.example")
    assert vault.restore(f"To {written}.") == streamed(vault, list(f"To {written}.")) == f"To {written}."


def test_a_stream_holds_back_only_what_may_become_a_placeholder() -> None:
    vault = Vault()
    vault.hide("EMAIL", "a@b.example")
    restorer = Restorer(vault)
    assert restorer.feed("Hello [") == "Hello "
    assert restorer.feed("see") == "[see"
    assert restorer.feed(" [EM") == " "
    assert restorer.feed("AIL_1") == ""
    assert restorer.feed("] and [EMB") == "a@b.example and [EMB"
    assert restorer.feed("[EMAIL_1234567") == "[EMAIL_1234567"
    assert restorer.feed(" \\") == " "
    assert restorer.flush() == "\\"
    assert restorer.flush() == ""


def test_a_stream_of_a_call_that_hid_nothing_is_passed_on_at_once() -> None:
    restorer = Restorer(Vault())
    assert restorer.feed("[EMAIL_") == "[EMAIL_"
    assert restorer.flush() == ""


def test_values_hidden_while_a_stream_runs_are_restored_too() -> None:
    vault = Vault()
    restorer = Restorer(vault)
    assert restorer.feed("a") == "a"
    vault.hide("PHONE", "+49 30 23125 123")
    assert restorer.feed("[PHONE_1]") == "+49 30 23125 123"


def test_restoring_inside_json_keeps_it_json() -> None:
    vault = Vault()
    placeholder = vault.hide("NOTE", 'a "quoted"\nline \\ with\u2028all')
    arguments = json.dumps({"note": f"See {placeholder}"})
    expected = {"note": 'See a "quoted"\nline \\ with\u2028all'}
    assert json.loads(vault.restore_json(arguments)) == expected
    restorer = Restorer(vault, as_json=True)
    assert json.loads("".join([*map(restorer.feed, arguments), restorer.flush()])) == expected


def test_json_is_redacted_inside_its_strings_and_numbers() -> None:
    vault = Vault()
    text = json.dumps({"to": "a@b.example", "card": 4111111111111111, "n": [1, True, None, 2.5], "a@b.example": "x"})
    redacted = json.loads(EVERYTHING.redact_json(text.replace("@", "\\u0040"), vault))
    assert redacted == {"to": "[EMAIL_1]", "card": "[CARD_1]", "n": [1, True, None, 2.5], "[EMAIL_1]": "x"}
    assert vault.restore_json('{"to": "[EMAIL_1]"}') == '{"to": "a@b.example"}'


def test_json_without_personal_data_is_left_as_it_was_written() -> None:
    text = '{ "b":1,  "a":"x" }'
    assert EVERYTHING.redact_json(text, Vault()) == text


@pytest.mark.parametrize("text", ["not json: a@b.example", "[" * 100_000 + "a@b.example", '"a@b.example'])
def test_what_is_no_json_is_redacted_as_text(text: str) -> None:
    assert EVERYTHING.redact_json(text, Vault()) == text.replace("a@b.example", "[EMAIL_1]")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ", "EMAIL"),
        ("an\u200bna@ex\u2060ample.com", "EMAIL"),
        ("jose\u0301@example.com", "EMAIL"),
        ("\u200fanna@example.com", "EMAIL"),
        ("４１１１　１１１１　１１１１　１１１１", "CARD"),
        ("4111\u00a01111\u20111111\u202f1111", "CARD"),
        ("41\u00ad11111111111111", "CARD"),
        ("٤١١١١١١١١١١١١١١١", "CARD"),
        ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "IBAN"),
        ("\u202a+49 30 23125 123\u202c", "PHONE"),
        ("٠٣٠ ٢٣١٢٥ ١٢٣", "PHONE"),
    ],
)
def test_data_is_found_whatever_way_it_is_typed(text: str, kind: str) -> None:
    (span,) = EVERYTHING.find(f"Da: {text}, ja")
    assert span.kind == kind
    vault = Vault()
    redacted = EVERYTHING.redact(text, vault)
    assert not any(character.isalnum() for character in redacted.replace(f"[{kind}_1]", ""))
    assert vault.restore(redacted) == text


def test_of_what_overlaps_the_longest_is_hidden_whole() -> None:
    assert hidden("IBAN DE89 3704 0044 0532 0130 00 12") == [("IBAN", "DE89 3704 0044 0532 0130 00")]
    assert hidden("0301234567@example.com") == [("EMAIL", "0301234567@example.com")]


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("it", "Codice fiscale RSSMRA85T10A562S, grazie", "RSSMRA85T10A562S"),
        ("it", "cf rcc mnl 83s18 d969h", "rcc mnl 83s18 d969h"),
        ("nl", "Mijn BSN is 111222333.", "111222333"),
        ("nl", "Nummer 1234.56.782 op de kaart", "1234.56.782"),
    ],
)
def test_national_ids_of_further_locales_are_found(locale: str, text: str, value: str) -> None:
    assert hidden(text, locale) == [("NATIONAL_ID", value)]


@pytest.mark.parametrize(
    ("locale", "text"),
    [("it", "Codice RSSMRA85T10A562T"), ("nl", "Factuur 111222333"), ("nl", "BSN 111222334"), ("nl", "BSN 000000000")],
)
def test_what_fails_its_check_digit_or_is_not_named_is_no_id(locale: str, text: str) -> None:
    assert hidden(text, locale) == []


@pytest.mark.parametrize(
    ("locale", "text", "value"),
    [
        ("nl", "Bel 020 123 4567", "020 123 4567"),
        ("it", "Chiama 06 1234 5678", "06 1234 5678"),
        ("it", "cellulare 312 345 6789", "312 345 6789"),
        ("pt-BR", "Telefone: (11) 96123-4567", "(11) 96123-4567"),
        ("pl", "tel. 512 345 678", "512 345 678"),
        ("sv", "ring 08-123 456 78", "08-123 456 78"),
        ("de", "Freephone +800 1234 5678", "+800 1234 5678"),
    ],
)
def test_national_phones_of_any_region_are_found(locale: str, text: str, value: str) -> None:
    assert hidden(text, locale) == [("PHONE", value)]


def test_a_national_id_is_looked_for_in_its_locales_only() -> None:
    assert hidden("DNI 12345678Z", "de") == []
    assert hidden("SSN 078-05-1120", "fr") == []


def test_locales_name_regions() -> None:
    assert regions(["en", "de-AT", "pt_BR", "zh-Hans-CN", "zh"]) == ("US", "GB", "AT", "BR", "CN")
    assert regions([]) == ("US", "GB", "DE", "FR", "ES", "IT", "NL", "JP")


@pytest.mark.parametrize("locale", ["xx", "", "tlh", "de-QQ", "d" * 500])
def test_an_unknown_locale_is_refused_by_name(locale: str) -> None:
    with pytest.raises(InvalidLocale, match=f"'{locale[:32]}' is no locale"):
        Redactor([locale])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 64 + "@example.com is fine",
        '"jane doe"@example.com',
        "write to root@[192.0.2.1]",
        "(anna@example.com)",
        "x@example.com.2",
    ],
)
def test_less_common_addresses_are_found(text: str) -> None:
    assert [kind for kind, _ in hidden(text)] == ["EMAIL"]


@pytest.mark.parametrize(
    "text", ["a" * 65 + "@example.com", "@example.com", "a@", "a@b", "a@-b.example", "a@b.c", "....@b.example"]
)
def test_what_is_no_address_is_left(text: str) -> None:
    assert hidden(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mailto%3Ajane%40example.com", "jane%40example.com"),
        ("100%25jane@example.com", "100%25jane@example.com"),
        ("(jane@example.com)", "jane@example.com"),
        ("a=jane@example.com", "jane@example.com"),
        ("jane@example.com.2", "jane@example.com"),
        ("%40%40jane%40example.com", "jane%40example.com"),
    ],
)
def test_an_address_is_parted_from_what_stands_beside_it(text: str, value: str) -> None:
    assert hidden(text) == [("EMAIL", value)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(030 23125 123)", "030 23125 123"),
        ("Tel-030 23125 123", "030 23125 123"),
        ("(+49) 30 23125 123", "(+49) 30 23125 123"),
        ("(+49 30 23125 123)", "+49 30 23125 123"),
        ("+49(0)30-23125-123", "+49(0)30-23125-123"),
        ("Order 4711 / 030 23125 123", "030 23125 123"),
        ("order by phone: 030 23125 123", "030 23125 123"),
        ("tel:+493023125123;ext=4", "+493023125123"),
    ],
)
def test_a_phone_is_hidden_with_its_own_signs_only(text: str, value: str) -> None:
    assert hidden(text) == [("PHONE", value)]


@pytest.mark.parametrize(
    "text",
    [
        "Zimmer 030 1234",
        "Order 4111111111111111",
        "+49 12",
        "+999 123 456 789",
        "+0 123 456 789",
        "a+491701234567",
        "/item/0301234567",
        "0301234567abc",
        "0301234567%",
        "0.3012345678 and 3,0301234567",
    ],
)
def test_what_is_no_phone_or_card_is_left(text: str) -> None:
    assert hidden(text) == []


def test_a_region_without_a_plan_has_none() -> None:
    assert plan("XX") is None


def test_patterns_that_are_no_text_are_refused_and_not_kept() -> None:
    with pytest.raises(InvalidPattern, match="must be text"):
        redactor([], {"own": ["x"]})  # type: ignore[dict-item]


def test_a_vault_shows_counts_and_never_values(caplog: pytest.LogCaptureFixture) -> None:
    vault = Vault()
    assert repr(vault) == "<Vault: empty>"
    EVERYTHING.redact("a@b.example, 4111 1111 1111 1111, c@d.example", vault)
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%r %s %s", vault, vault, vault.counts)
    assert repr(vault) == "<Vault: 1 CARD, 2 EMAIL>"
    assert "example" not in caplog.text
    assert "4111" not in caplog.text


def test_a_vault_can_not_be_stored() -> None:
    with pytest.raises(TypeError, match="never stored"):
        pickle.dumps(Vault())


def test_a_vault_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_wp_ai.policy.content.vault._MAX_NUMBER", 1)
    vault = Vault()
    assert vault.hide("EMAIL", "a@b.example") == vault.hide("EMAIL", "a@b.example") == "[EMAIL_1]"
    with pytest.raises(ValueError, match="more values"):
        vault.hide("EMAIL", "c@d.example")


def test_the_redactor_of_a_configuration_is_made_once() -> None:
    assert redactor(["de"], {"order": "ORD-[0-9]{6}"}) is redactor(("de",), {"order": "ORD-[0-9]{6}"})
    assert redactor(["de"]) is not redactor(["fr"])
