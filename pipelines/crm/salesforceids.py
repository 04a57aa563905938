"""The two ways in which Salesforce writes an id: 15 signs, in which case matters, and the same with 3 more that say which are capitals."""

from __future__ import annotations

import re

_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
LEAD, CONTACT = "00Q", "003"
"""How ids of leads and of contacts begin, in every Salesforce."""


def is_id(text: str) -> bool:
    """Whether a text can be an id at all.

    >>> is_id("00Q5e000001AbCdEAK"), is_id("L00012345")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z0-9]{15}|[A-Za-z0-9]{18}", text) is not None


def eighteen(text: str) -> str:
    """An id with its 18 signs, so that one record has one id; what is no id of 15 signs stays as it is.

    Each of the last three signs stands for five of the first fifteen: bit by bit, whether they are capitals (Salesforce Help 000385585).

    >>> eighteen("001A0000006Vm9r"), eighteen("001A0000006Vm9rIAC")
    ('001A0000006Vm9rIAC', '001A0000006Vm9rIAC')
    """
    if len(text) != 15 or not is_id(text):
        return text
    groups = (text[start : start + 5] for start in (0, 5, 10))
    return text + "".join(_SIGNS[sum(sign.isupper() << place for place, sign in enumerate(group))] for group in groups)
