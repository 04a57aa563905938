"""The ledger as a BI tool wants it: views of the warehouse, one row a lead, reasons as text beside the JSON.

    tonight   every lead of the newest night, of each outcome
    lists     the listed leads of every night

Both have the same columns: those of the ledger, `reasons_for` and `reasons_against` in words, and name, company and owner as the CRM has them
today. Of an account (`population = "accounts"`) the CRM's tables of leads know no name, so its name and company are null.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

_SHOWN = {"leads": ("lead_id", ("name", "company")), "owners": ("owner_id", ("name",))}
_ROWS = {
    "tonight": "QUALIFY as_of = max(as_of) OVER (PARTITION BY outcome)",
    "lists": "WHERE listed",
}


def views(columns: Mapping[str, Container[str]]) -> list[str]:
    """The statements that create or replace the views.

    Parameters
    ----------
    columns : table -> the columns that it has; a table, or a column, that is not there is shown as unknown.
    """
    lead, owner = _join("leads", columns), _join("owners", columns)
    words = f"{_words('>')} AS reasons_for, {_words('<')} AS reasons_against"
    names = "shown_leads.name AS name, shown_leads.company AS company, coalesce(shown_owners.name, night.owner_id) AS owner"
    return [
        f"CREATE OR REPLACE VIEW {view} AS SELECT night.*, {words}, {names} FROM (SELECT * FROM ledger {rows}) night {lead} {owner}"
        for view, rows in _ROWS.items()
    ]


def views_on_a_server(tables: str, lists: str) -> list[str]:
    """The same views in the words of PostgreSQL, what the CRM and the reasons say first, so that the ledger may grow columns.

    Parameters
    ----------
    tables, lists : the schemas of the tables and of the views.
    """
    newest = f"(night.outcome, night.as_of) IN (SELECT outcome, max(as_of) FROM {tables}.ledger GROUP BY outcome)"
    rows = {"tonight": newest, "lists": "night.listed"}
    named = "lead.name, lead.company, coalesce(owner.name, night.owner_id) AS owner"
    joined = f"LEFT JOIN {tables}.leads lead USING (lead_id) LEFT JOIN {tables}.owners owner ON owner.owner_id = night.owner_id"
    words = f"{_words_on_a_server('>')} AS reasons_for, {_words_on_a_server('<')} AS reasons_against"
    return [
        f"CREATE OR REPLACE VIEW {lists}.{view} AS SELECT {named}, {words}, night.* FROM {tables}.ledger night {joined} WHERE {which}"
        for view, which in rows.items()
    ]


def _words_on_a_server(sign: str) -> str:
    each = "jsonb_array_elements(night.reasons::jsonb) WITH ORDINALITY AS reason(one, place)"
    return f"(SELECT string_agg(one->>'words', '; ' ORDER BY place) FROM {each} WHERE (one->>'contribution')::float {sign} 0)"


def _join(table: str, columns: Mapping[str, Container[str]]) -> str:
    key, wanted = _SHOWN[table]
    there = columns.get(table, ())
    if key not in there:
        shown = f"SELECT NULL::VARCHAR AS {key}, {', '.join(f'NULL::VARCHAR AS {name}' for name in wanted)}"
    else:
        shown = f"SELECT {key}, {', '.join(name if name in there else f'NULL::VARCHAR AS {name}' for name in wanted)} FROM {table}"
    return f"LEFT JOIN ({shown}) shown_{table} ON shown_{table}.{key} = night.{key}"


def _words(sign: str) -> str:
    """The words of the reasons on one side, as one text."""
    each = """from_json(night.reasons, '[{"words": "VARCHAR", "contribution": "DOUBLE"}]')"""
    return f"array_to_string(list_transform(list_filter({each}, lambda one: one.contribution {sign} 0), lambda one: one.words), '; ')"
