"""Finding things of the user's by `module:name`, as they are written on a command line.

What must not live here: any command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from agentflow.application import Application
from agentflow.builder import ApplicationBuilder, GraphBuilder
from agentflow.errors import InputError, UnknownNameError, did_you_mean
from agentflow.graph import Graph
from agentflow.select.selector import Selector, as_selector
from agentflow.signatures import accepted


def load_graph(where: str) -> Graph:
    """The graph that `module:name` stands for: itself, or of an application, a builder, or a function that makes one.

    A function is given `app_id` and `partition_key` if it takes them.

    Raises:
        InputError: It is none of these, or there is no such module.
        UnknownNameError: The module has no such name.
    """
    found = load(where)
    if callable(found) and not isinstance(found, Graph | Application | ApplicationBuilder | GraphBuilder):
        found = _made(found, "example", None)
    if isinstance(found, ApplicationBuilder | GraphBuilder):
        found = found.build()
    if isinstance(found, Application):
        found = found.graph
    if not isinstance(found, Graph):
        raise InputError(
            f"'{where}' is {found!r:.80}, and no graph: name a graph, an application, or a builder of one."
        )
    return found


def load_builder(where: str, app_id: str, partition_key: str | None) -> ApplicationBuilder:
    """The builder that `module:name` stands for, or of the application it stands for, or what a function makes of it.

    A function is given `app_id` and `partition_key` if it takes them.

    Raises:
        InputError: It is none of these, or there is no such module.
        UnknownNameError: The module has no such name.
    """
    found = load(where)
    if callable(found) and not isinstance(found, Application | ApplicationBuilder):
        found = _made(found, app_id, partition_key)
    builder = found.builder if isinstance(found, Application) else found
    if not isinstance(builder, ApplicationBuilder):
        raise InputError(f"'{where}' is {found!r:.80}: name an ApplicationBuilder, or a function that makes one.")
    return builder


def load_selector(where: str) -> Selector:
    """The selector that `module:name` stands for, or that a function of that name makes.

    Raises:
        InputError: It is none, or there is no such module.
        UnknownNameError: The module has no such name.
    """
    found = load(where)
    selector = as_selector(found) or (as_selector(found()) if callable(found) else None)
    if selector is None:
        raise InputError(f"'{where}' is {found!r:.80}, and no selector: name one, or a function that makes one.")
    return selector


def load(where: str) -> Any:
    """What `module:name` stands for; the module may be a file, and is looked for in the working directory too."""
    place, separator, name = where.rpartition(":")
    if not separator or not place or not name:
        raise InputError(f"{where!r} is not of the form module:name: write, for example, my_agent:graph.")
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UnknownNameError(f"'{place}' has no {name!r}. {did_you_mean(part, _public(found))}")
        found = getattr(found, part)
    return found


def _made(function: Callable[..., Any], app_id: str, partition_key: str | None) -> Any:
    takes, offered = accepted(function), {"app_id": app_id, "partition_key": partition_key}
    return function(**{name: value for name, value in offered.items() if takes is None or name in takes})


def _module(place: str) -> ModuleType:
    if place.endswith(".py"):
        return _from_file(Path(place))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(f"{error.name}.")):
            raise
        raise InputError(
            f"there is no module {place!r} here or installed: name one, or a file ending in .py."
        ) from None


def _from_file(path: Path) -> ModuleType:
    name = f"_agentflow_{path.stem}"  # a file called json.py must not take the place of the json module
    spec = spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"there is no file '{path}': name one, or a module.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _public(found: object) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]
