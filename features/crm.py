"""The six canonical tables of a CRM, as Ibis expressions on whatever engine holds them."""

from __future__ import annotations

from typing import NamedTuple

import ibis.expr.types as ir


class Crm(NamedTuple):
    """Everything the product knows of a company: leads, what they did, and the deals that came of them.

    All tables have at least the columns of `features.contract.SCHEMAS`, typed so, clean, and with `known_at` filled in;
    a table the company does not have is empty, never absent. Further columns of `leads`, `accounts` and `deals` are attributes.
    """

    leads: ir.Table
    lead_changes: ir.Table
    activities: ir.Table
    deals: ir.Table
    accounts: ir.Table
    owners: ir.Table
