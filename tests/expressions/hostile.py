"""Texts that try to break an expression: fixed ones, and an endless supply of generated ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

#: Texts that try to reach code, files or objects. Every one is refused when it is read or when it is evaluated.
ESCAPES = [
    "__import__('os').system('id')",
    "open('/tmp/x', 'w').write('x')",
    "exec('import os')",
    "eval('1+1')",
    "compile('1', '', 'eval')",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1]",
    "mode.__class__",
    "trap.__init__.__globals__",
    "trap.wipe()",
    "user.pop('name')",
    "user.get('name')",
    "items.append(1)",
    "items.__len__()",
    "'{0.__class__}'.format(trap)",
    "f'{trap.__class__}'",
    "'%s' % trap",
    "str(trap)",
    "getattr(trap, 'x')",
    "type(mode)",
    "globals()",
    "(lambda: 1)()",
    "[c for c in ().__class__.__base__.__subclasses__()]",
    "(mode := 'x')",
    "trap == trap",
    "[trap] == [1]",
    "trap in [1]",
    "keyed['age'] == 1",
    "max(traps)",
    "len((lambda *a: a)(trap))",
    "any(x for x in trap)",
    "vars()['mode']",
    "breakpoint()",
    "input()",
    "state['__class__']",
    "__builtins__",
]

#: Texts that try to use up time or memory. Each is refused, or answered within the limits.
BOMBS = [
    "9**9**9**9",
    "'%1000000000d' % 1",
    "'a' * 1000000000",
    "[0] * 1000000000",
    "9223372036854775807 * 9223372036854775807 * 9223372036854775807",
    "1 << 1000000000",
    "-" * 1_900 + "1",
    "(" * 1_000 + "1" + ")" * 990,
    "[" * 900 + "]" * 900,
    "not " * 490 + "1",
    "a" + ".a" * 990,
    "'" + "a" * 100_000 + "'",
    "9" * 1_999,
    "1e" + "9" * 1_990,
    "round(1, -1000000000)",
    "any(any(any(x for x in big) for x in big) for x in big)",
    "any(x == big for x in big)",
    "sum(sum(big) for x in big)",
    "all(big == big for x in big)",
    "all(x in big for x in big)",
    "len([big[0:] for x in big])",
    "[" + "[" * 30 + "big" + "]" * 30 + "] == [" + "big," * 60 + "]",
    "max(" + ", ".join(["big"] * 150) + ")",
    "all(" + " == ".join(["big"] * 90) + " for x in big)",
    "{" * 500,
    "f'" + "{" * 900,
    "lambda:" * 280 + "1",
    "a if b else " * 150 + "c",
    "wide == wider",
]

_NAMES = (
    "mode count ratio ok nothing items names user pairs seen trap meta traps text number listed table bag keyed keyset"
    " nested tupled x y gone len __class__ true state"
).split()
_ATOMS = [
    "'image'",
    '"name"',
    "1",
    "0",
    "-1",
    "2.5",
    "9223372036854775807",
    "None",
    "True",
    "[]",
    "()",
    "{}",
    "1e400",
    "'é'",
]
_OPERATORS = "== != < <= > >= in not·in is is·not and or + - * / // % ** & | << >> ^ @ = := , ; ->".split()
_CALLS = "len min max abs any all sum str eval open getattr type range print trap user.get mode.lower".split()
_JUNK = [
    "'",
    '"',
    "\\",
    "\\N{DASH}",
    "\0",
    "\ud800",
    "\n",
    "\t",
    "#",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "!",
    "&&",
    "||",
    "?",
    "`",
    "$",
]
_JUNK += [
    "{{action.name}}",
    "lambda",
    "yield",
    "await",
    "async",
    "import os",
    "__import__",
    "é",
    "日",
    "\u202e",
    "…",
    "'''",
    "1if",
    "0x",
    "1_0",
    ".",
    "..",
]


def generated(seed: int, count: int) -> Iterator[str]:
    """Random texts: grown from the grammar, grown and then damaged, and plain noise."""
    dice = random.Random(seed)
    for _ in range(count):
        kind = dice.random()
        if kind < 0.08:
            yield "".join(
                dice.choice(_JUNK + _NAMES + _ATOMS + _OPERATORS) + dice.choice(["", " "])
                for _ in range(dice.randrange(30))
            )
        elif kind < 0.12:
            yield "".join(
                map(
                    chr,
                    (dice.choice([dice.randrange(128), dice.randrange(0x11000)]) for _ in range(dice.randrange(40))),
                )
            )
        elif kind < 0.5:
            yield _damaged(dice, _grown(dice, dice.randrange(1, 5)))
        else:
            yield _grown(dice, dice.randrange(1, 5))


def _grown(dice: random.Random, depth: int) -> str:
    if depth <= 0 or dice.random() < 0.1:
        return dice.choice(_NAMES if dice.random() < 0.65 else _ATOMS)

    def inner() -> str:
        return _grown(dice, depth - 1)

    form = dice.randrange(13)
    if form < 4:
        return f"{inner()} {dice.choice(_OPERATORS[:20]).replace('·', ' ')} {inner()}"
    if form == 4:
        return f"({inner()})"
    if form == 5:
        return f"{dice.choice(['not ', '-', '+', '~'])}{inner()}"
    if form == 6:
        return f"{inner()}[{inner()}]" if dice.random() < 0.7 else f"{inner()}[{inner()}:{inner()}]"
    if form == 7:
        return f"{inner()}.{dice.choice(['name', 'age', 'a', 'b', 'c', '__class__', '_x'])}"
    if form == 8:
        return f"{inner()} if {inner()} else {inner()}"
    if form == 9:
        left, right = dice.choice(["[]", "()", "{}"])
        return left + ", ".join(inner() for _ in range(dice.randrange(4))) + right
    if form == 10:
        return "{" + f"{inner()}: {inner()}" + "}"
    if form == 11:
        name = dice.choice(_CALLS[:7] if dice.random() < 0.8 else _CALLS)
        return f"{name}({inner()}{dice.choice(['', ', ' + inner()])})"
    brackets = dice.choice(["()", "([])", "({})"])
    half = len(brackets) // 2
    test = f" if {inner()}" if dice.random() < 0.4 else ""
    loop = f"{inner()} for x in {inner()}{test}"
    return dice.choice(_CALLS[:7]) + brackets[:half] + loop + brackets[half:]


def _damaged(dice: random.Random, text: str) -> str:
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(text) + 1)
        if dice.random() < 0.5:
            text = text[:at] + dice.choice(_JUNK) + text[at:]
        else:
            text = text[:at] + text[at + dice.randrange(1, 4) :]
    return text
