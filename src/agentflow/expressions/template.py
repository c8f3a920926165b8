"""A template that is filled in once for each target: "mode=={{action.name}}" becomes "mode=='generate_image'".

The name always arrives as one string literal, or as a part of the literal it stands in, so whatever a name contains
stays text. What must not live here: what the expression means.
"""

from __future__ import annotations

import re
from typing import Final

from agentflow.expressions.source import refusal

_PIECES: Final = re.compile(
    r"""(?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|\{\{(?P<placeholder>.*?)\}\}|(?P<open>['"]|\{\{)""",
    re.DOTALL,
)
_PLACEHOLDER: Final = re.compile(r"\{\{(?P<placeholder>.*?)\}\}", re.DOTALL)
_KNOWN: Final = "action.name"


def render_template(template: str, name: str) -> str:
    """Fill in the name of an action, as a string literal whether or not the template has quotes around it.

    Args:
        template: An expression that holds `{{action.name}}` at least once; spaces inside the braces are fine.
        name: Any text.

    Raises:
        ExpressionError: There is no placeholder, an unknown one, or a quote or brace that is not closed.

    Example:
        >>> render_template("mode=={{action.name}}", "generate_image")
        "mode=='generate_image'"
    """
    pieces: list[str] = []
    position, filled = 0, False
    for piece in _PIECES.finditer(template):
        if piece["open"] is not None:
            what = "A placeholder" if piece["open"] == "{{" else "A text"
            raise refusal(template, f"{what} is opened here and never closed: close it.", *piece.span())
        rendered = _rendered(template, piece, name)
        if rendered is None:
            continue
        if re.search(r"\w\Z", template[: piece.start()]):
            raise refusal(
                template, "The name of the action runs into what is before it: put an operator there.", *piece.span()
            )
        pieces += [template[position : piece.start()], rendered]
        position, filled = piece.end(), True
    if not filled:
        raise refusal(template, "A template needs the placeholder {{action.name}}: write it in.", 0, len(template))
    return "".join([*pieces, template[position:]])


def _rendered(template: str, piece: re.Match[str], name: str) -> str | None:
    """The literal that stands for this piece, or None when the piece holds no placeholder."""
    if piece["text"] is None:
        _check_known(template, piece, 0)
        return repr(str.__str__(name))
    text, quote = piece["text"], piece["text"][0]
    found = list(_PLACEHOLDER.finditer(text))
    for placeholder in found:
        _check_known(template, placeholder, piece.start())
    if not found:
        return None
    if found[0].span() == (1, len(text) - 1):
        return repr(str.__str__(name))
    return _PLACEHOLDER.sub(lambda placeholder: _escaped(name, quote), text)


def _check_known(template: str, placeholder: re.Match[str], shift: int) -> None:
    if placeholder["placeholder"].strip() != _KNOWN:
        start, end = placeholder.span()
        raise refusal(
            template, f"A template knows one placeholder: write {{{{{_KNOWN}}}}}.", start + shift, end + shift
        )


def _escaped(name: str, quote: str) -> str:
    """The name as it is written inside a literal that has this quote."""
    return "".join(f"\\{char}" if char == quote else repr(char)[1:-1] for char in name)
