"""What is said where the site's content has no answer, in the language of the question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django_wp_ai.rag.language import detect

FALLBACK: Final = "en"
NOT_FOUND: Final = {
    "ar": "لا يجيب محتوى هذا الموقع عن هذا السؤال.",
    "da": "Indholdet på dette websted besvarer ikke dette spørgsmål.",
    "de": "Die Inhalte dieser Website beantworten diese Frage nicht.",
    "en": "The content of this site does not answer this question.",
    "es": "El contenido de este sitio no responde a esta pregunta.",
    "fr": "Le contenu de ce site ne répond pas à cette question.",
    "it": "I contenuti di questo sito non rispondono a questa domanda.",
    "ja": "このサイトの内容には、この質問への答えがありません。",
    "ko": "이 사이트의 내용에는 이 질문에 대한 답이 없습니다.",
    "nl": "De inhoud van deze site geeft geen antwoord op deze vraag.",
    "pl": "Treść tej witryny nie odpowiada na to pytanie.",
    "pt": "O conteúdo deste site não responde a esta pergunta.",
    "ru": "В материалах этого сайта нет ответа на этот вопрос.",  # noqa: RUF001 - Russian
    "sv": "Innehållet på den här webbplatsen besvarar inte den här frågan.",
    "tr": "Bu sitenin içeriği bu soruyu yanıtlamıyor.",  # noqa: RUF001 - Turkish
    "zh": "本网站的内容没有回答这个问题。",
}
NAMES: Final = {
    "ar": "Arabic",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
    "zh": "Chinese",
}


def language_of(question: str, *, others: Iterable[str]) -> str:
    """The question's language; where its words don't tell, the first of ``others`` that has a sentence here."""
    for tag in (detect(question), *others):
        language = tag.partition("-")[0].lower()
        if language in NOT_FOUND:
            return language
    return FALLBACK


def not_found(language: str) -> str:
    """The honest sentence."""
    return NOT_FOUND.get(language, NOT_FOUND[FALLBACK])
