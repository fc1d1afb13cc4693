"""Words before a number that say what it is: a telephone's, a national id, or an order, invoice, article."""

from __future__ import annotations

import re

_WINDOW = 40
_PHONE = (
    r"phone|\btel\b|\btél|telefo|teléfo|télépho|telefax|\bfax|\bmobil|\bmóvil|\bmovil|\bcell|\bcall|\bdial"
    r"|\btext me|\bring\b|whatsapp|signal|\bhandy|\banruf|\bruf\b|\bportable\b"
    r"|\bappel|\bjoindre|\bllám|\bllam|celular|\bchiam"
    r"|\bbel\b|\bbellen"
    r"|電話|携帯|ファックス|☎|📞|📱"
)
_OTHER = (
    r"\border|\binvoice|\bticket|\btracking|\bparcel|\bref\b|\brefer|\bréf|\bsku\b|\bisbn|\bissn|\bean\b|\bgtin|\bserial"
    r"|\bimei|\bversion|\bcustomer|\barticle|\bartikel|\bbuild|\bbestell|\bauftrag|\brechnung|\bkunden|\bvorgang|\bsendung"
    r"|\bcommande|\bfacture|\bcolis|\bclient|\bdossier|\bsire[nt]\b|\bpedido|\bfactura|\benvío|\bcliente|\bordin|\bfattura|\bfactuur"
    r"|注文|請求|伝票|追跡|品番|型番|問い合わせ番号|お客様番号|会員番号"
)
_WORD = re.compile(rf"(?P<phone>{_PHONE})|(?P<other>{_OTHER})", re.IGNORECASE)
_DIGIT = re.compile(r"\d")


def is_called_a_phone(text: str, start: int) -> bool:
    """Do words just before ``start`` say that a telephone number follows."""
    return _nearest(text, start) == "phone"


def is_called_something_else(text: str, start: int) -> bool:
    """Do words just before ``start`` say that an order, invoice or article number follows."""
    return _nearest(text, start) == "other"


def is_called(text: str, start: int, words: re.Pattern[str]) -> bool:
    """Does one of ``words`` stand just before ``start``, in the same line."""
    return words.search(_before(text, start)) is not None


def _before(text: str, start: int) -> str:
    return text[max(0, start - _WINDOW) : start].rpartition("\n")[2]


def _nearest(text: str, start: int) -> str | None:
    before = _before(text, start)
    last = max(_WORD.finditer(before), key=re.Match.end, default=None)
    return None if last is None or _DIGIT.search(before, last.end()) else last.lastgroup
