"""Wordings by which a text speaks to the model that reads it, in seven languages, and the marks of chat formats."""

from __future__ import annotations

import re
from typing import NamedTuple


class Wording(NamedTuple):
    """``opening`` followed, within ``REACH`` characters of one sentence, by each of ``then`` in any order."""

    rule: str
    weight: float
    opening: re.Pattern[str]
    then: tuple[re.Pattern[str], ...]


REACH = 80


def _wording(rule: str, weight: float, opening: str, *then: str) -> Wording:
    return Wording(rule, weight, _pattern(opening), tuple(map(_pattern, then)))


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE)


_RULES_EN = r"\b(?:instructions?|prompts?|rules|guidelines|directions|directives|messages?|training)\b"
WORDINGS = (
    _wording(
        "override",
        0.7,
        r"\b(?:ignore|disregard|forget|override|bypass|do not follow|don't follow|stop following)\b",
        r"\b(?:previous|prior|above|earlier|preceding|all|any|your|the|system|these)\b",
        _RULES_EN,
    ),
    _wording(
        "override",
        0.7,
        r"\b(?:ignorier\w*|vergiss|vergesse\w*|missachte\w*|befolge\w* nicht)\b",
        r"\b(?:vorherig\w*|bisherig\w*|obig\w*|vorig\w*|früher\w*|all\w*|dein\w*|ihre|die)\b",
        r"\b(?:anweisung\w*|instruktion\w*|regel\w*|vorgabe\w*|befehl\w*|prompts?|systemprompt\w*)\b",
    ),
    _wording(
        "override",
        0.7,
        r"\b(?:ignore[rz]?|oublie[rz]?|ne suis pas|ne respecte[rz]? pas)\b",
        r"\b(?:précédente?s?|antérieure?s?|ci-dessus|toutes?|tous|tes|vos|les)\b",
        r"\b(?:instructions?|consignes?|règles?|directives?|prompts?)\b",
    ),
    _wording(
        "override",
        0.7,
        r"\b(?:ignor[ae]\w*|olvid[ae]\w*|no sigas|descart[ae]\w*|dimentica\w*)\b",
        r"\b(?:anterior\w*|previ\w*|precedent\w*|tod[ao]s|tutt[ei]|tus|sus|las|los|le|tue)\b",
        r"\b(?:instrucci\w+|órdenes|reglas|indicaciones|directrices|istruzioni|regole|prompts?)\b",
    ),
    _wording(
        "override",
        0.7,
        r"\b(?:negeer|vergeet)\b",
        r"\b(?:vorige|eerdere|bovenstaande|alle|je|uw|de)\b",
        r"\b(?:instructies|opdrachten|regels|aanwijzingen)\b",
    ),
    _wording("override", 0.7, r"指示|命令|プロンプト|ルール|規則|インストラクション", r"無視|忘れ|従わな|破棄"),
    _wording(
        "reveal",
        0.6,
        r"\b(?:reveal|print|show|repeat|output|tell me|leak|zeige?|verrate|gib|affiche\w*|révèle\w*"
        r"|muestra|revela|imprime)\b",
        r"\b(?:system ?prompt|system message|hidden prompt|initial instructions|your instructions|api keys?"
        r"|prompt système|deine anweisungen|tes instructions|prompt del sistema|tus instrucciones)\b",
    ),
    _wording("reveal", 0.6, r"システムプロンプト|内部の指示", r"表示|教え|出力|見せ|公開"),
    _wording(
        "persona",
        0.4,
        r"\b(?:you are now|from now on,? you|pretend (?:to be|you are)|du bist (?:jetzt|nun|ab sofort)|ab jetzt bist du"
        r"|tu es (?:maintenant|désormais)|a partir de ahora eres|ahora eres|sei ora|je bent nu)\b",
    ),
    _wording("persona", 0.4, r"あなたは(?:今から|これから|今後)"),
    _wording(
        "addressed",
        0.5,
        r"\b(?:ai|assistant|language model|llm|chatbot|gpt|claude)s?\b",
        r"\b(?:must|shall|should now|are instructed|is instructed|has to|have to)\b",
        r"\b(?:reply|respond|answer|say|recommend|include|send|call|click|visit|execute|run|delete|transfer)\b",
    ),
    _wording(
        "addressed",
        0.5,
        r"\b(?:new|updated|neue|nouvelles|nuevas) (?:system )?(?:instructions?|anweisung(?:en)?|instrucciones) ?:",
    ),
    _wording(
        "jailbreak", 0.5, r"\b(?:developer mode|dan mode|jailbreak(?:ed)?|do anything now|without any restrictions)\b"
    ),
)
#: Tokens by which chat formats part the speakers: never a part of honest text.
ROLE_TOKENS = re.compile(
    r"<\|[a-z0-9_ ]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>(?=\s|$)|<(?:start|end)_of_turn>(?:user|model)?"
    r"|<(?:/)?(?:system|assistant|function_calls|tool_call|tool_response)>",
    re.IGNORECASE,
)
#: A speaker's name at the beginning of a line: honest in a transcript, so it weighs less.
ROLE_LABELS = re.compile(
    r"^[ \t>*#]{0,8}(?:system|assistant|user|human|developer|instruction|benutzer|utilisateur|usuario"
    r"|システム|アシスタント|ユーザー)"
    r"[ \t*]{0,4}[:\uff1a]",
    re.IGNORECASE | re.MULTILINE,
)
