"""What was handed back to the CRM, lead by lead: the memory that makes a write-back resumable and never doubles a row.

writebacks    (outcome, as_of, target, lead_id) -> digest of the values, state, the vendor's reason, the instant it was said
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import pandas as pd

from pipelines.crm.writeback import Refusal
from pipelines.warehouse import Warehouse


class Outbox:
    """The rows of one outcome's night on their way to one target: see `pipelines.crm.writeback.Outbox`.

    Parameters
    ----------
    form : where and under which names values are written; once it differs, nothing that was sent before counts as there.
    at : the instant of this run, UTC; what was said of other nights was said before, whatever the clock shows.
    only_changed : leads whose values were the last ones sent, on whatever night, are not due.
    again : leads that the vendor refused on this night are due once more.
    keep : a rehearsal only asks.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        outcome: str,
        as_of: datetime,
        target: str,
        form: str,
        at: datetime,
        only_changed: bool = True,
        again: bool = False,
        keep: bool = True,
    ) -> None:
        self.raw, self.amendment = warehouse.raw, warehouse.amendment
        self.outcome, self.as_of, self.target, self.form, self.at = outcome, as_of, target, form, at
        self.only_changed, self.again, self.keep = only_changed, again, keep

    def due(self, digests: dict[str, str]) -> list[str]:
        """See `Outbox`. What waits may have arrived, its answer having been lost: so a lead is there only if nothing was tried after it was sent."""
        asked = pd.DataFrame({"lead_id": list(digests), "digest": [self._formed(one) for one in digests.values()]}, dtype=object)
        states = ["sent"] if self.again else ["sent", "refused"]
        with self.amendment("writebacks", self.as_of, self.outcome, list(digests)):
            self.at = self._later()
            self.raw.register("asked", asked)
            found = self.raw.execute(
                "WITH told AS (SELECT * FROM writebacks WHERE outcome = $1 AND target = $2),"
                " tonight AS (SELECT lead_id, digest FROM told WHERE as_of = $3 AND list_contains($4, state)),"
                ' newest AS (SELECT lead_id, arg_max(digest, ("at", as_of)) AS digest, arg_max(state, ("at", as_of)) AS state FROM told'
                "  WHERE state <> 'refused' GROUP BY lead_id),"
                " there AS (SELECT lead_id, digest FROM newest WHERE $5 AND state = 'sent')"
                " SELECT * FROM asked ANTI JOIN tonight USING (lead_id, digest) ANTI JOIN there USING (lead_id, digest) ORDER BY lead_id",
                [self.outcome, self.target, self.as_of, states, self.only_changed],
            ).df()
            self.raw.unregister("asked")
            if self.keep:
                self._keep(found.assign(state="waiting", reason=""))
        return [str(lead) for lead in found["lead_id"]]

    def settle(self, lead_ids: Sequence[str], refusals: Sequence[Refusal]) -> None:
        """See `Outbox`. Kept at once: whatever happens next, these rows are not sent again."""
        reasons = {refusal.lead_id: refusal.reason for refusal in refusals}
        answered = pd.DataFrame(
            {
                "lead_id": list(lead_ids),
                "state": ["refused" if lead in reasons else "sent" for lead in lead_ids],
                "reason": [reasons.get(lead, "") for lead in lead_ids],
            },
            dtype=object,
        )
        with self.amendment("writebacks", self.as_of, self.outcome, lead_ids):
            self.raw.register("answered", answered)
            self.raw.execute(
                'UPDATE writebacks SET state = answered.state, reason = answered.reason, "at" = $4 FROM answered'
                " WHERE outcome = $1 AND target = $2 AND as_of = $3 AND writebacks.lead_id = answered.lead_id",
                [self.outcome, self.target, self.as_of, self.at],
            )
            self.raw.unregister("answered")

    def _later(self) -> datetime:
        """Now, or a moment after whatever was said of another night: a clock that went wrong must not change what was sent last."""
        told = 'SELECT max("at") FROM writebacks WHERE outcome = ? AND target = ? AND as_of <> ?'
        last: datetime | None = self.raw.execute(told, [self.outcome, self.target, self.as_of]).fetchall()[0][0]
        return max(self.at, last + timedelta(microseconds=1)) if last else self.at

    def _formed(self, digest: str) -> str:
        return sha256(f"{self.form} {digest}".encode()).hexdigest()[:16]

    def _keep(self, rows: pd.DataFrame) -> None:
        kept = rows.assign(outcome=self.outcome, as_of=self.as_of, target=self.target, at=self.at)
        self.raw.register("kept", kept)
        self.raw.execute("INSERT OR REPLACE INTO writebacks BY NAME SELECT * FROM kept")
        self.raw.unregister("kept")
