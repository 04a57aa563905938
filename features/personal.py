"""Fields that say who somebody is, and fields that a law protects: a score knows neither. And what no sentence may repeat."""

from __future__ import annotations

import re

FIRST, LAST = r"(first|given) ?name|vorname|prénom", r"(last|family|sur) ?name|nachname|nom de famille|apellidos?"
_WHO = (
    rf"{FIRST}|{LAST}|((contact|lead|person|full|middle|display|user|account|deal|company) )?name"
    r"|.*(phone|mobile|telefon|fax)( .*)?|(street|postal|home|mailing)? ?address( .*)?|(.* )?e ?mail( address)?"
)
_PROTECTED = (
    r"salutation|anrede|birth.*|geburt.*|(.* )?(gender|sex|geschlecht|sexe|sexo|religion|konfession|ethnicity|ethnic (group|origin)|race"
    r"|nationality|nationalität|disability|marital status|familienstand|sexual orientation|political (views?|opinions?|party)|trade union"
    r"|pregnan(t|cy))"
)
_ADDRESS = r"[^@\s]+@[^@\s]+\.[^@\s]+"
# An e-mail address, or a telephone number as it is written to be called from anywhere, or from within the country.
CONTACT = rf"\s*({_ADDRESS}|(\+|00)\d[\d\s()/.-]{{5,}}|0\d{{8,}})\s*"
_FEWEST_DIGITS = 9
_SHARED = 3


def words(name: str) -> str:
    """A column's name in small words.

    >>> words("OwnerId"), words(" MQL_ID ")
    ('owner id', 'mql id')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", apart.lower()))


def identifying(name: str) -> bool:
    """Whether a field of this name says who somebody is, or how to reach them.

    >>> [identifying(name) for name in ("FirstName", "work_email", "phone 2", "industry")]
    [True, True, True, False]
    """
    return re.fullmatch(_WHO, words(name)) is not None


def protected(name: str) -> bool:
    """Whether a field of this name is one by which nobody may be treated worse, such as a gender.

    Source: the grounds of article 21 of the EU's Charter of Fundamental Rights, and article 9 of the GDPR, as far as CRMs have fields for them. An
    age is not among them: a field of this name is mostly that of the lead.

    >>> [protected(name) for name in ("Gender", "contact_nationality", "country")]
    [True, True, False]
    """
    return re.fullmatch(_PROTECTED, words(name)) is not None


def may_be_told(column: str, value: str, times: int) -> bool:
    """Whether a refused value may stand in a message, which ends in logs; in a row that has slipped, a name stands where a date should.

    A value without a letter is a date or a number, unless it is long enough to be called; a single small word, or one with a digit in it, is nobody's
    name; anything else is told only if at least three rows share it, for then it is a kind of thing.

    Parameters
    ----------
    times : how many of the refused rows have this value.

    >>> [may_be_told("created_at", value, 1) for value in ("31/31/2024 25:00", "soon", "Eva Grau", "eva@grau.example", "+49 30 1234567")]
    [True, True, False, False, False]
    >>> may_be_told("outcome", "Closed Won", 30)
    True
    """
    if identifying(column) or "@" in value:
        return False
    if re.fullmatch(r"[\d\s()+/.-]*", value) and len(re.sub(r"\D", "", value)) >= _FEWEST_DIGITS:
        return False
    wordy = re.search(r"[^\W\d_]", value) is not None
    plain = len(value.split()) == 1 and (value.islower() or any(sign.isdigit() for sign in value))
    return not wordy or plain or times >= _SHARED


def masked(text: str) -> str:
    """What others say, such as why a CRM refused a row, without the e-mail addresses in it.

    >>> masked("eva@post.example is taken")
    '[address] is taken'
    """
    return re.sub(_ADDRESS, "[address]", text)


def unsigned(url: str) -> str:
    """The address of a server without the user and the password that may stand in it.

    >>> unsigned("postgresql://scorer:s3cret@db.example/crm")
    'postgresql://db.example/crm'
    """
    return re.sub("//[^/@]*@", "//", url)
