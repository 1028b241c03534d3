"""The one form of an account's id: what every edge (API, commands, raw tables) takes, and what older rows are read as.

Two ids that look the same, or that a database cuts at a NUL, would be two accounts with one risk. So an id that is not
in this form is refused where it comes in, never changed in silence.
"""

import unicodedata

# Control characters, among them NUL; lone surrogates; line and paragraph separators.
REFUSED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")


def account_id_fault(text: str) -> str:
    """What is wrong with an account's id, in one clause; empty if it is in its one form."""
    if text.isascii() and text.isprintable() and text == text.strip() != "":
        return ""  # nearly every id; requests have thousands
    if not text.strip():
        return "an account id cannot be empty"
    if any(unicodedata.category(character) in REFUSED_CATEGORIES for character in text):
        return f"the account id {text!r} holds a control character"
    if text != text.strip():
        return f"the account id {text!r} begins or ends with white space"
    if not unicodedata.is_normalized("NFC", text):
        return f"the account id {text!a} is not in the Unicode form NFC"
    return ""


def require_account_id(text: str) -> str:
    """The id; raises ValueError with the fault if it is not in its one form."""
    if fault := account_id_fault(text):
        raise ValueError(fault)
    return text


def canonical_account_id(text: str) -> str:
    """The id that a text means: without control characters and outer white space, in the Unicode form NFC."""
    if text.isascii() and text.isprintable():
        return text.strip()
    allowed = (character for character in text if unicodedata.category(character) not in REFUSED_CATEGORIES)
    return unicodedata.normalize("NFC", "".join(allowed)).strip()
