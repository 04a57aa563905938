"""A part of leadscore.toml, and what is wrong with one in words."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.problem import Problem

Share = Annotated[float, Field(ge=0, le=1)]
# A century: longer than any record, and short enough for every clock.
LONGEST = 36_500
ENVIRONMENT = "env:"
Days = Annotated[int, Field(ge=1, le=LONGEST)]

# What a validator calls a tuple is a list to whoever writes TOML.
_WANTED = {
    "tuple": 'a list is wanted, such as ["one", "two"]',
    "int": "a whole number is wanted",
    "float": "a number is wanted",
    "string": 'a text in quotes is wanted, such as "this"',
    "bool": "true or false is wanted, without quotes",
    "dict": 'pairs are wanted, such as { ours = "theirs" }',
    "date": "a day is wanted, such as 2025-12-31",
    "datetime": "an instant is wanted, such as 2025-12-31T02:00:00Z",
}


class Section(BaseModel):
    """A part of leadscore.toml: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


def looked_up(setting: str, value: str) -> str:
    """A setting that may be "env:NAME", so that what is secret stays out of the file.

    Raises
    ------
    Problem : the environment variable is not set.

    >>> looked_up("[source] location", "crm.duckdb")
    'crm.duckdb'
    """
    if not value.startswith(ENVIRONMENT):
        return value
    name = value.removeprefix(ENVIRONMENT)
    if name not in os.environ:
        raise Problem(f"{setting} names the environment variable {name}, which is not set: export it and run again.")
    return os.environ[name]


def misnamed(setting: str, names: str, what: str) -> Problem:
    """A setting of [training] that names what it cannot: it is right TOML, and only the extract shows that it means nothing.

    >>> str(misnamed("monotone", "industry", "no number"))
    '[training] monotone names industry, which is no number: correct the name in leadscore.toml, or take it out.'
    """
    return Problem(f"[training] {setting} names {names}, which is {what}: correct the name in leadscore.toml, or take it out.")


def in_words(error: ValidationError) -> str:
    """Every mistake of a file, each with its place, without the words of a validator."""
    said = []
    for one in error.errors(include_url=False):
        place = ".".join(str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            said.append(f"'{place}' is not a setting that leadscore knows")
        else:
            wanted = _WANTED.get(one["type"].split("_")[0]) or one["msg"].removeprefix("Value error, ")
            said.append(f"{place}: {wanted}")
    return "; ".join(dict.fromkeys(said))
