"""What Salesforce answers: rows of a query, what became of a record, and what went wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipelines.crm.salesforceids import eighteen

Record = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A part of a query's result.

    Parameters
    ----------
    total : rows of the whole result, as the vendor counts them.
    following : the address of the next part; None: this was the last.
    """

    records: list[Record]
    total: int
    following: str | None


def page_of(told: Any) -> Page:
    """A part of a result, out of the JSON that tells it.

    Raises
    ------
    KeyError, TypeError, ValueError : it tells none.
    """
    return Page(list(told["records"]), int(told["totalSize"]), None if told["done"] else str(told["nextRecordsUrl"]))


def is_of(answer: Any, record: Record) -> bool:
    """Whether an answer can be that of this record: one that was not taken need not say its id."""
    return isinstance(answer, dict) and (not answer.get("id") or eighteen(str(answer["id"])) == record["id"])


def explained(content: object) -> str:
    """What the vendor says of an error: its code and its message, whichever of its APIs answered."""
    if isinstance(content, bytes):
        text = content.decode("utf-8", "replace")
        try:
            content = json.loads(text)
        except ValueError:
            content = text
    found = content if isinstance(content, list) else [content]
    said = []
    for one in found:
        if isinstance(one, dict):
            parts = (one.get("errorCode") or one.get("error"), one.get("message") or one.get("error_description"))
            said.append(": ".join(str(part) for part in parts if part))
        else:
            said.append(str(one))
    return "; ".join(said)
