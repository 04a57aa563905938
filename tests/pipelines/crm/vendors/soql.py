"""As much of Salesforce's query language as the product's conditions need."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

Record = dict[str, Any]


class Condition:
    """The conditions of a query: comparisons, IN, AND, OR and brackets."""

    def __init__(self, text: str, today: str) -> None:
        self._tokens = re.findall(r"\(|\)|,|<=|>=|!=|=|<|>|'[^']*'|[^\s(),=<>!]+", text)
        self._today, self._place = today, 0
        self._tree = self._either()
        assert self._place == len(self._tokens), text

    def meets(self, record: Record) -> bool:
        """Whether a record meets them."""
        return bool(self._tree(record))

    def _next(self, wanted: str = "") -> str:
        token = self._tokens[self._place]
        assert not wanted or token == wanted, (token, wanted)
        self._place += 1
        return token

    def _at(self, token: str) -> bool:
        return self._place < len(self._tokens) and self._tokens[self._place] == token

    def _either(self) -> Callable[[Record], bool]:
        parts = [self._both()]
        while self._at("OR"):
            self._next()
            parts.append(self._both())
        return lambda record: any(part(record) for part in parts)

    def _both(self) -> Callable[[Record], bool]:
        parts = [self._one()]
        while self._at("AND"):
            self._next()
            parts.append(self._one())
        return lambda record: all(part(record) for part in parts)

    def _one(self) -> Callable[[Record], bool]:
        if self._at("("):
            self._next()
            inner = self._either()
            self._next(")")
            return inner
        name, sign = self._next(), self._next()
        if sign == "IN":
            self._next("(")
            values = [self._value()]
            while self._at(","):
                self._next()
                values.append(self._value())
            self._next(")")
            return lambda record: record[name] in values
        value = self._value()
        if value is None or sign in ("=", "!="):
            return lambda record: (record[name] == value) == (sign == "=")
        compare: dict[str, Callable[[Any, Any], bool]] = {
            "<": lambda a, b: a < b,
            ">": lambda a, b: a > b,
            "<=": lambda a, b: a <= b,
            ">=": lambda a, b: a >= b,
        }
        return lambda record: record[name] is not None and compare[sign](record[name], value)

    def _value(self) -> Any:
        token = self._next()
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        if token == "TODAY":
            return self._today
        if token.startswith("'"):
            return token.strip("'")
        assert token.endswith("Z"), token
        return f"{datetime.fromisoformat(token):%Y-%m-%dT%H:%M:%S}.000+0000"
