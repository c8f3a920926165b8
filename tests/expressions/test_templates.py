"""A template is filled in with one literal, whatever the name is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.errors import ExpressionError
from agentflow.expressions import compile_expression, render_template
from tests.effort import tries

QUOTINGS = [
    "mode=={{action.name}}",
    "mode=='{{action.name}}'",
    'mode=="{{action.name}}"',
    "mode=={{ action.name }}",
    "mode == '{{  action.name}}'",
    "{{action.name}}==mode",
]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("mode=={{action.name}}", "mode=='generate_image'"),
        ("mode=='{{action.name}}'", "mode=='generate_image'"),
        ('mode=="{{action.name}}"', "mode=='generate_image'"),
        ("mode == {{ action.name }}", "mode == 'generate_image'"),
        ("mode == '{{\taction.name }}'", "mode == 'generate_image'"),
        ("{{action.name}} in modes", "'generate_image' in modes"),
        ("a[{{action.name}}] > b['{{action.name}}']", "a['generate_image'] > b['generate_image']"),
        ("mode == 'my_{{action.name}}_v2'", "mode == 'my_generate_image_v2'"),
        ('mode == "{{action.name}}/{{action.name}}"', 'mode == "generate_image/generate_image"'),
        ("kind == 'it\\'s' and mode == {{action.name}}", "kind == 'it\\'s' and mode == 'generate_image'"),
        ("user == {'a': {'b': 1}} and m == {{action.name}}", "user == {'a': {'b': 1}} and m == 'generate_image'"),
    ],
)
def test_name_is_rendered_as_one_literal(template: str, expected: str) -> None:
    assert expected == render_template(template, "generate_image")


@settings(max_examples=tries(50, thorough=300), deadline=None)
@given(template=st.sampled_from(QUOTINGS), name=st.text(st.characters(), max_size=60))
def test_any_name_stays_text(template: str, name: str) -> None:
    assert ("mode", name) == compile_expression(render_template(template, name)).equality


@pytest.mark.parametrize(
    "name",
    [
        "' or True or '",
        '" or True or "',
        "'\"\\",
        "\\",
        "'''",
        "{{action.name}}",
        "}}",
        "a\nb\r\0",
        "\ud800",
        "os.system('x')",
        "# x",
        "",
    ],
)
@pytest.mark.parametrize("template", [*QUOTINGS, "mode == 'x{{action.name}}y'", 'mode == "x{{action.name}}y"'])
def test_hostile_name_stays_text(template: str, name: str) -> None:
    expected = f"x{name}y" if "x{{" in template else name
    assert ("mode", expected) == compile_expression(render_template(template, name)).equality


@pytest.mark.parametrize(
    ("template", "remedy", "part"),
    [
        ("mode=={{action.nme}}", "write {{action.name}}", "{{action.nme}}"),
        ("mode=='{{ target }}'", "write {{action.name}}", "{{ target }}"),
        ("mode=={{}}", "write {{action.name}}", "{{}}"),
        ("mode==action.name", "write it in", "mode==action.name"),
        ("mode=={action.name}", "write it in", "mode=={action.name}"),
        ("mode=={{action.name", "close it", "{{"),
        ("mode=='{{action.name}}", "close it", "'"),
        ("mode=={{action.name}}'", "close it", "'"),
        ("mode==r'{{action.name}}'", "put an operator there", "'{{action.name}}'"),
        ("mode==r{{action.name}}", "put an operator there", "{{action.name}}"),
        ("", "write it in", ""),
    ],
)
def test_wrong_template_is_refused_with_a_caret(template: str, remedy: str, part: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render_template(template, "generate_image")
    sentence, shown, carets = str(caught.value).split("\n")
    assert (part, True) == (shown[carets.index("^") : len(carets)], remedy in sentence)
