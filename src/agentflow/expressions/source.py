"""From text to a syntax tree, and how a refusal points at the part it refuses.

Text is parsed as one Python expression and never compiled to code. The slips people make are recognised here, so that
the message says what to write instead. What must not live here: which constructs are allowed (that is `checking`).
"""

from __future__ import annotations

import ast
import re
from typing import Final

from agentflow.errors import ExpressionError

#: Characters in one expression. It also keeps the recursive parser of Python far away from its own limits.
MAX_LENGTH: Final = 2_000

_SHOWN: Final = 160  # characters of a long source that a message shows around the caret
_STRING: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_UNREADABLE: Final = re.compile("[\0\ud800-\udfff]")
_KNOWN_ESCAPES: Final = "\\'\"ntrxuU"
_GLUED: Final = re.compile(r"(?<!\w)\d[\w.]*?(and|else|for|if|in|is|not|or)")

#: Slips that Python's parser refuses, with what to write instead; looked for outside of string literals.
_SLIPS: Final = (
    (re.compile(r"&&"), "An expression has no '&&': write 'and'."),
    (re.compile(r"\|\|"), "An expression has no '||': write 'or'."),
    (re.compile(r"===|!=="), "An expression has no '===': write '==' or '!='."),
    (re.compile(r"=>"), "An expression has no '=>': write '>='."),
    (re.compile(r"=<"), "An expression has no '=<': write '<='."),
    (re.compile(r"<>"), "An expression has no '<>': write '!='."),
    (re.compile(r"!(?!=)"), "An expression has no '!': write 'not'."),
    (re.compile(r"(?<![=!<>:+\-*/%&|^@])=(?!=)"), "An expression cannot assign: use == to compare."),
    (re.compile(r"\{\{"), "An expression has no placeholders: only a switch template knows {{action.name}}."),
)


class Text:
    """The text of one expression: its tree, and where in the text a part of that tree stands.

    Args:
        source: What the user wrote. Line ends count as spaces.

    Raises:
        ExpressionError: It is no text, too long, or not one Python expression.
    """

    def __init__(self, source: str) -> None:
        if not isinstance(source, str):
            raise ExpressionError(f"An expression is written as text, not as {type(source).__name__}: pass a str.")
        self.source: str = str.__str__(source)
        if len(self.source) > MAX_LENGTH:
            raise self.refusal(
                f"An expression may have {MAX_LENGTH:,} characters and this one has {len(self.source):,}:"
                " use when(function) for logic this long.",
                MAX_LENGTH,
            )
        line = re.sub(r"[\r\n]", " ", self.source)
        self._line = line.strip()
        self._shift = len(line) - len(line.lstrip())
        self._check_text()
        self.tree: ast.expr = self._parse()

    def refusal(self, sentence: str, start: int, end: int | None = None) -> ExpressionError:
        """An error that shows the source with a caret under the characters from `start` to `end`."""
        return refusal(self.source, sentence, start, end)

    def refusal_at(self, node: ast.AST, sentence: str) -> ExpressionError:
        """An error that shows the source with carets under `node`."""
        return self.refusal(sentence, *self.span(node))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where `node` stands in the source, in characters; the parser counts bytes of UTF-8."""
        raw = self._line.encode("utf-8", "surrogatepass")
        start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", None)
        first = len(raw[:start].decode("utf-8", "replace"))
        last = len(raw[:end].decode("utf-8", "replace"))
        return self._shift + first, self._shift + last

    def segment(self, node: ast.AST) -> str:
        """The text of `node`, shortened, for a message."""
        start, end = self.span(node)
        text = self.source[start:end]
        return text if len(text) <= 60 else text[:57] + "..."

    def _check_text(self) -> None:
        """Refuse what the parser would accept with a warning, or read otherwise than it looks."""
        if not self._line:
            raise self.refusal("An expression cannot be empty: write one such as count < 10.", 0)
        unreadable = _UNREADABLE.search(self._line)
        if unreadable:
            raise self._refusal_of(unreadable, "An expression holds no null and no surrogate characters: remove them.")
        for escape in _ESCAPE.finditer(self._line):
            if escape.group(1) not in _KNOWN_ESCAPES:
                raise self._refusal_of(escape, f"The escape {escape.group()!r} is not known: double the backslash.")
        for literal in _STRING.finditer(self._line):
            if len(literal.group()) == 2 and self._line[literal.end() : literal.end() + 1] == literal.group()[0]:
                raise self._refusal_of(literal, "A text takes one pair of quotes: write 'image'.")
        bare = self._bare()
        comment = bare.find("#")
        if comment >= 0:
            raise self.refusal("An expression has no comments: drop it.", comment + self._shift)
        glued = _GLUED.search(bare)
        if glued:
            raise self._refusal_of(glued, f"A number runs into {glued.group(1)!r}: put a space between them.")

    def _parse(self) -> ast.expr:
        try:
            return ast.parse(self._line, mode="eval").body
        except SyntaxError as error:
            raise self._explained(error) from None
        except (RecursionError, MemoryError):
            sentence = "An expression may not be nested this deeply: split it, or use when(function)."
        raise self.refusal(sentence, self._shift)

    def _explained(self, error: SyntaxError) -> ExpressionError:
        bare = self._bare()
        for pattern, sentence in _SLIPS:
            slip = pattern.search(bare)
            if slip:
                return self._refusal_of(slip, sentence)
        at = (error.offset or len(self._line) + 1) - 1  # the parser says 0 when it ran out of text
        start = min(at, len(self._line)) + self._shift
        reason = (error.msg or "invalid syntax").partition(". Perhaps")[0]
        return self.refusal(
            f"An expression must be one Python expression ({reason}): write one such as count < 10.", start
        )

    def _bare(self) -> str:
        """The line with string literals blanked out, at the same positions."""
        return _STRING.sub(lambda literal: " " * len(literal.group()), self._line)

    def _refusal_of(self, found: re.Match[str], sentence: str) -> ExpressionError:
        return self.refusal(sentence, found.start() + self._shift, found.end() + self._shift)


def refusal(source: str, sentence: str, start: int, end: int | None = None) -> ExpressionError:
    """The error for `sentence`, with the source and a line of carets below it; a long source is cut around them."""
    end = start + 1 if end is None else max(end, start + 1)
    shown, offset, dots = source, 0, ""
    if len(source) > _SHOWN:
        offset = max(0, min(start - _SHOWN // 2, len(source) - _SHOWN))
        dots = "..." if offset else ""
        shown = source[offset : offset + _SHOWN]
    shown = "".join(" " if ord(char) < 32 else char for char in shown).encode("utf-8", "replace").decode()
    room = max(1, len(shown) - (start - offset))
    carets = " " * (start - offset + len(dots)) + "^" * min(end - start, room)
    return ExpressionError(f"{sentence}\n    {dots}{shown}\n    {carets}")
