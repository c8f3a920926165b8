"""Objects that notice when anything of theirs is called, and a state that holds them where expressions may reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: The methods of a trap that were called while `watching`.
HITS: list[str] = []
_watched = False

_METHODS = (
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __len__ __iter__ __next__ __contains__ __getitem__"
    " __getattribute__ __getattr__ __str__ __repr__ __format__ __int__ __float__ __index__ __call__ __add__ __radd__"
    " __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ __mod__ __rmod__ __neg__ __abs__ __pow__"
    " __and__ __or__ __enter__ __exit__ __reversed__ __length_hint__ __missing__ __instancecheck__ __subclasscheck__"
    " __sizeof__ __reduce__ __copy__ __dir__ __class_getitem__ lower keys items get utcoffset"
).split()


@contextmanager
def watching() -> Iterator[list[str]]:
    """Note hits from here on, starting from none."""
    global _watched
    HITS.clear()
    _watched = True
    try:
        yield HITS
    finally:
        _watched = False


def _noticing(owner: type, name: str) -> Callable[..., Any]:
    real = getattr(owner, name, None)

    def method(self: Any, *args: Any) -> Any:
        if _watched:
            HITS.append(f"{owner.__name__}.{name}")
        return real(self, *args) if real is not None else True

    return method


def _trap(name: str, base: type, metaclass: type = type) -> Any:
    def noticing_hash(self: Any) -> int:
        if _watched:
            HITS.append(f"{name}.__hash__")
        return base.__hash__(self) if base.__hash__ is not None else hash("name")

    skipped = {"__hash__", "__class_getitem__"}
    body = {method: _noticing(base, method) for method in _METHODS if method not in skipped}
    return metaclass(name, (base,), {**body, "__hash__": noticing_hash})


def _noticing_hash(cls: type) -> int:
    if _watched:
        HITS.append("Meta.__hash__")
    return type.__hash__(cls)


Meta: Any = type(
    "Meta",
    (type,),
    {
        **{name: _noticing(type, name) for name in ("__eq__", "__getattribute__", "__instancecheck__", "__call__")},
        "__hash__": _noticing_hash,
    },
)
Trap = _trap("Trap", object)
MetaTrap = _trap("MetaTrap", object, Meta)
TextTrap = _trap("TextTrap", str)
NumberTrap = _trap("NumberTrap", int)
ListTrap = _trap("ListTrap", list)
DictTrap = _trap("DictTrap", dict)
SetTrap = _trap("SetTrap", set)


def trapped_state() -> dict[str, object]:
    """Plain values next to traps: alone, in containers, as keys that collide with plain ones."""
    return {
        "mode": "image",
        "count": 3,
        "ratio": 0.5,
        "ok": True,
        "nothing": None,
        "items": [3, 1, 2],
        "names": ["ada", "bob"],
        "user": {"name": "ada", "age": 36, "tags": ["x"]},
        "pairs": [(1, "a"), (2, "b")],
        "seen": {1, 2, "name"},
        "trap": Trap(),
        "meta": MetaTrap(),
        "traps": [Trap(), 1, MetaTrap()],
        "text": TextTrap("name"),
        "number": NumberTrap(7),
        "listed": ListTrap([1, Trap()]),
        "table": DictTrap({"name": Trap(), TextTrap("age"): 1}),
        "bag": SetTrap({1, TextTrap("name")}),
        "keyed": {TextTrap("name"): 1, "age": Trap()},
        "keyset": {TextTrap("name"), 2},
        "nested": {"a": {"b": [{"c": Trap()}]}},
        "tupled": {(1, TextTrap("name")): 2},
    }
