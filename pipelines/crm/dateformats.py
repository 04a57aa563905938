"""In which of the usual ways a column of texts writes its dates."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

_DAYS = ("%d-%m-%Y", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%m/%d/%y", "%d/%m/%Y", "%d/%m/%y", "%m-%d-%Y")
_WORDS = ("%d-%b-%Y", "%d-%B-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = tuple(day + time for day in (*_DAYS, *_WORDS) for time in _TIMES)
_ISO = r"\d{4}-\d{2}-\d{2}"


def fitting(values: pd.Series) -> tuple[str, ...]:
    """The strptime formats that fit a column, the usual ones first: "" stands for ISO 8601, and none fits what is no date.

    >>> fitting(pd.Series(["01/02/2025", "03/04/2025"]))
    ('%m/%d/%Y', '%d/%m/%Y')
    """
    texts = values.dropna().astype(str).str.strip()
    texts = texts[texts != ""].head(500)
    if texts.empty or not texts.str.contains(r"\d").all():
        return ()
    if texts.str.match(_ISO).mean() > 0.9:
        return ("",)
    # Nearly every format fails on the first date: only those that do not are tried on all.
    likely = [form for form in _FORMATS if pd.to_datetime(texts.head(20), format=form, errors="coerce").notna().any()]
    return tuple(form for form in likely if pd.to_datetime(texts, format=form, errors="coerce").notna().mean() > 0.95)


def chosen(columns: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, bool]]:
    """Column by column the format to read it in, and whether that is sure: a table writes the day and the month in one order.

    >>> chosen({"born": ("%m/%d/%Y", "%d/%m/%Y"), "died": ("%d/%m/%Y",)})
    {'born': ('%d/%m/%Y', True), 'died': ('%d/%m/%Y', True)}
    """
    sure = {_day_first(forms[0]) for forms in columns.values() if len(forms) == 1 and forms[0]}
    read = {}
    for column, forms in columns.items():
        agreed = [form for form in forms if _day_first(form) in sure]
        read[column] = (agreed[0], len(sure) == 1) if agreed else (forms[0], len({_day_first(form) for form in forms}) == 1)
    return read


def _day_first(form: str) -> bool:
    return form.find("%d") < max(form.find(month) for month in ("%m", "%b", "%B"))
