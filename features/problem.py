"""What went wrong, said to a person."""

from __future__ import annotations


class Problem(Exception):
    """One sentence that says what is wrong, where, and what to do: raised for people, shown without a traceback.

    >>> str(Problem("leadscore.toml has no [source]: run `leadscore init --from DIR` to write one."))
    'leadscore.toml has no [source]: run `leadscore init --from DIR` to write one.'
    """
