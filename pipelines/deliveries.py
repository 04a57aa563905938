"""What was delivered to whom: the memory by which neither a night scored again nor a crash delivers anything twice."""

from __future__ import annotations

from datetime import datetime

from pipelines.settings import DEFAULT
from pipelines.warehouse import Warehouse


def delivery(warehouse: Warehouse, as_of: datetime, channel: str, recipient: str, outcome: str = DEFAULT) -> tuple[str, str] | None:
    """How the delivery of a night to somebody stands, and the digest of what was delivered; None where none was begun."""
    found = warehouse.raw.execute(
        "SELECT state, digest FROM deliveries WHERE outcome = ? AND as_of = ? AND channel = ? AND recipient = ?",
        [outcome, as_of, channel, recipient],
    ).fetchall()
    return (str(found[0][0]), str(found[0][1])) if found else None


def note_delivery(
    warehouse: Warehouse, as_of: datetime, channel: str, recipient: str, digest: str, state: str, at: datetime, outcome: str = DEFAULT
) -> None:
    """Remember how a delivery stands, so that a night scored again, or a crash, delivers nothing twice.

    Parameters
    ----------
    channel : how it goes out, such as "mail".
    recipient : whose list it is: the owner's id.
    digest : of what is delivered.
    state : "sending" before, "sent" after; "refused" where it surely did not arrive, so that the next run may try again.
    """
    with warehouse.transaction("deliveries"):
        warehouse.raw.execute(
            "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?)", [outcome, as_of, channel, recipient, digest, state, at]
        )
