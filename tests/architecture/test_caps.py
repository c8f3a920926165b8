"""The caps of the source are kept, and the script that measures them can tell when they are not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def caps() -> ModuleType:
    spec = importlib.util.spec_from_file_location("caps", Path(__file__).parents[2] / "scripts" / "caps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_long_file_and_a_long_function_are_named(caps: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def long():\n" + "    pass\n" * 330)
    assert [
        (str(path), "331 lines, more than 320: is it two ideas?"),
        (f"{path}:long", "331 lines, more than 40"),
    ] == list(caps.breaches(path))


def test_deep_nesting_is_named_and_a_docstring_is_not_counted(caps: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "deep.py"
    path.write_text(
        'def deep():\n    """'
        + "\n" * 50
        + '"""\n    if 1:\n     for _ in x:\n      while 1:\n       with y:\n        pass\n'
    )
    assert [(f"{path}:deep", "nested 4 deep, more than 3")] == list(caps.breaches(path))


def test_elif_is_not_deeper_than_its_if(caps: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "chain.py"
    path.write_text(
        "def chain():\n    if 1:\n        pass\n" + "    elif 2:\n        pass\n" * 6 + "    else:\n        pass\n"
    )
    assert [] == list(caps.breaches(path))
