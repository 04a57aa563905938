"""One column of what is known about a lead, and the words a rep knows it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "category", "text", "flag"]


@dataclass(frozen=True)
class Feature:
    """A named, typed column with the field it comes from and the words that explain it.

    Contributions are summed per `field`, so that a rep reads one line about e-mail opens instead of six about windows.

    Parameters
    ----------
    name : column name, unique among the features of a plan.
    kind : "number" (nullable double), "category" (string), "text" (short free text such as a job title), "flag" (boolean).
    field : what a rep calls it: "source", "webinars attended", "account's past deals".
    words : a phrase with `{value}` in it, completed with the lead's own value: "opened {value} e-mails in the last 7 days".
    unit : how a number is said: "days" and "hours" as a duration (36 hours, 14 days), "times" (once, 3 times), "share" (7.3 %),
        "ratio" (1.3 times what the words say), "money"; "" as it is.
    plain : whether a rep would say it so; one that is not speaks only where no plain one of its field is learned from.
    profile : whether it says who the lead is (a source, an industry, a title), and not what it did or what was done to it.

    >>> Feature("email_open_in_7d", "number", "e-mail opens", "opened {value} e-mails in the last 7 days").field
    'e-mail opens'
    """

    name: str
    kind: Kind
    field: str
    words: str
    unit: str = ""
    profile: bool = False
    plain: bool = True
