"""Who was erased, remembered without saying who: so that the next extract does not bring them back.

erased        digests of ids, by which a row of a source is recognised
erased_salt   what is mixed into every digest: one random text of this warehouse, so that a digest means nothing anywhere else
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from hashlib import sha256

from pipelines.catalog import kinds_of
from pipelines.warehouse import Warehouse

REASON = "is erased"


class Erased:
    """The memory of a warehouse.

    To the business: whoever has the warehouse and an id can ask whether that id was erased, as every extract must; nobody can read the ids from it.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.raw = warehouse.raw

    def remember(self, ids: Collection[str]) -> None:
        """Never take rows of these leads again."""
        if not self._salt():
            self.raw.execute("INSERT INTO erased_salt VALUES (?)", [secrets.token_hex(32)])
        self.raw.execute(
            "INSERT INTO erased SELECT DISTINCT sha256($1 || one) FROM (SELECT unnest($2) AS one)"
            " WHERE sha256($1 || one) NOT IN (SELECT digest FROM erased)",
            [self._salt(), sorted(ids)],
        )

    def knows(self, lead_id: str) -> bool:
        """Whether a lead was erased."""
        return bool(self.raw.execute("SELECT count(*) FROM erased WHERE digest = ?", [self._digest(lead_id)]).fetchall()[0][0])

    def is_named(self, text: str) -> bool:
        """Whether an id that was erased stands in a line that could not be read."""
        return bool(self._salt()) and any(self.knows(part.strip()) for part in re.split(r"[,;|\t\"']", text))

    def refuse(self, table: str) -> None:
        """Put the rows of whoever was erased among the refused ones of the table that is being read, with neither value nor any other reason.

        A lead that was merged into one that was erased is the same person, and is erased from then on.
        """
        salt = self._salt()
        if not salt or "lead_id" not in kinds_of(self.raw, "mapped"):
            return
        gone = "sha256($1 || {}) IN (SELECT digest FROM erased)"
        if table == "leads":
            merged = f"FROM mapped WHERE {gone.format('merged_into')} AND NOT {gone.format('lead_id')}"
            while new := self.raw.execute(f"SELECT DISTINCT lead_id {merged}", [salt]).fetchall():
                self.remember([one for (one,) in new])
        self.raw.execute(f"CREATE OR REPLACE TEMP TABLE gone AS SELECT row FROM mapped WHERE {gone.format('lead_id')}", [salt])
        self.raw.execute("DELETE FROM refused WHERE row IN (SELECT row FROM gone)")
        self.raw.execute("INSERT INTO refused SELECT row, 'lead_id', NULL, ? FROM gone", [REASON])

    def _digest(self, lead_id: str) -> str:
        return sha256(f"{self._salt()}{lead_id}".encode("utf-8", "replace")).hexdigest()

    def _salt(self) -> str:
        """ "" before the first erasure."""
        found = self.raw.execute("SELECT salt FROM erased_salt").fetchall()
        return str(found[0][0]) if found else ""
