"""What leadscore.toml says of handing scores back to the CRM."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator, model_validator

from pipelines.section import Section

Part = Literal["score", "tier", "rank", "reasons", "scored_at", "probability", "trend"]


class Writeback(Section):
    """Where the scores of a night go, beside the lists.

    Parameters
    ----------
    target : "hubspot", "salesforce" or "dynamics"; "" writes nothing back.
    object : whose ids the scored leads have: "contacts" (HubSpot), "Lead" or "Contact" (Salesforce), "lead" or "opportunity" (Dynamics 365).
        By default the first of them, or companies and accounts where an outcome scores accounts.
    create_properties : the consent to make fields in the CRM that are missing there. Without it they are named, and nothing is written.
    fields : ours -> the name of the field there. What is not named goes where the target usually puts it; "" leaves it out.
    only_listed : write only the leads that are on the list of the night.
    only_changed : leave out leads whose values the CRM has already, which spares calls; when they were scored is then as old as their values.
    """

    target: Literal["", "hubspot", "salesforce", "dynamics"] = ""
    object: str = ""
    create_properties: bool = False
    fields: dict[Part, str] = {}
    only_listed: bool = False
    only_changed: bool = True

    @field_validator("fields")
    @classmethod
    def _plain_names(cls, fields: dict[Part, str]) -> dict[Part, str]:
        for ours, theirs in fields.items():
            if theirs and not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", theirs):
                raise ValueError(f"'{theirs}' of {ours} is no name of a field: it has letters, digits and _ only")
        twice = sorted(theirs for theirs in fields.values() if theirs and list(fields.values()).count(theirs) > 1)
        if twice:
            raise ValueError(f"'{twice[0]}' cannot hold two values")
        return fields

    @model_validator(mode="after")
    def _known_object(self) -> Writeback:
        known = {
            "": (),
            "hubspot": ("contacts", "companies"),
            "salesforce": ("Lead", "Contact", "Account"),
            "dynamics": ("lead", "opportunity"),
        }[self.target]
        if self.object and self.object not in known:
            raise ValueError(
                f"object is '{self.object}', which {self.target or 'no target'} does not score: write one of {', '.join(known) or 'none'}"
            )
        return self
