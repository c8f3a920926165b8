"""Whether two values are the same in every respect that a program could see, short of their identity."""

from __future__ import annotations

import dataclasses
import struct
from collections import OrderedDict, defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any

from pydantic import BaseModel


def same(left: Any, right: Any) -> bool:
    """Equal, with equal types all the way down, the same order where there is one, and no -0.0 for 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (left != left and right != right) or struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, datetime | time):
        return left.fold == right.fold and repr(left) == repr(right) and same(left.tzinfo, right.tzinfo)
    if isinstance(left, BaseModel):
        parts = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
        return all(same(getattr(left, part), getattr(right, part)) for part in parts)
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        held = all(same(getattr(left, name), getattr(right, name)) for name in names)
        return held and same(getattr(left, "__dict__", None), getattr(right, "__dict__", None))
    return _same_containers(left, right)


def _same_containers(left: Any, right: Any) -> bool:
    if isinstance(left, Mapping):
        if isinstance(left, defaultdict) and left.default_factory is not right.default_factory:
            return False
        return _in_order(list(left.items()), list(right.items()), isinstance(left, OrderedDict | dict))
    if isinstance(left, set | frozenset):
        found = [next((other for other in right if same(item, other)), None) for item in left]
        return len(left) == len(right) and all(same(item, other) for item, other in zip(left, found, strict=True))
    if isinstance(left, deque) and left.maxlen != right.maxlen:
        return False
    if isinstance(left, list | tuple | deque):
        return _in_order(list(left), list(right), True)
    return bool(left == right)


def _in_order(left: list[Any], right: list[Any], ordered: bool) -> bool:
    return ordered and len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
