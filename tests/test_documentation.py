"""What can be configured is written down, and what is written down can be configured."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from features.contract import REQUIRED, SCHEMAS
from pipelines.settings import Settings, SourceTable

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
TABLE = "\n".join(line[4:] for line in TEXT.splitlines() if line.startswith("    "))


def test_every_setting_stands_in_the_reference_with_its_default() -> None:
    written = tomllib.loads(TABLE)
    written["source"]["tables"]["leads"] = {"table": "leads.csv"}
    read = Settings(**written)
    for name, section in read:
        if name in ("folder", "chosen", "source", "outcomes"):
            continue
        if not hasattr(section, "model_fields_set"):
            assert written[name] == str(section)
            continue
        assert section.model_fields_set == set(type(section).model_fields), name
        plain = type(section)()
        differing = {key for key in type(section).model_fields if getattr(plain, key) != getattr(section, key)}
        assert differing <= {"since"}, name
    for rules in read.outcomes.values():
        assert rules.model_fields_set == set(type(rules).model_fields)
    assert read.outcomes.keys() == {"renewal"}
    source = read.source
    assert source.model_fields_set == set(type(source).model_fields)
    assert {key for key in type(source).model_fields if getattr(source, key) != type(source).model_fields[key].default} == {"extracted_at", "tables"}


@pytest.mark.parametrize("key", SourceTable.model_fields)
def test_every_key_of_a_table_is_explained(key: str) -> None:
    assert re.search(rf"^\| .*`{key}`.* \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_column_of_every_table_is_named_as_needed_or_not(table: str) -> None:
    (line,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{table}` |")]
    needed, optional = (set(re.findall(r"`(\w+)`", cell)) for cell in line.split("|")[2:4])
    assert needed == set(REQUIRED[table])
    assert needed | optional == set(SCHEMAS[table])


def test_the_commands_of_an_unattended_machine_are_those_of_prefect_yaml() -> None:
    # tests/test_under_prefect.py types them.
    guide = (ROOT / "docs" / "unattended.md").read_text(encoding="utf-8")
    shown = [line.strip() for line in guide.splitlines() if line.startswith("    prefect ")]
    deployed = [
        line.removeprefix("#").strip() for line in (ROOT / "prefect.yaml").read_text(encoding="utf-8").splitlines() if line.startswith("#   ")
    ]
    assert shown == deployed
    assert f"ExecStart=/srv/leadscore/.venv/bin/{shown[-1]}" in guide
