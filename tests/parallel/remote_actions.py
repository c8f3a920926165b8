"""Actions that other processes can find by name."""

from __future__ import annotations

import os

from agentflow import State, action


@action(reads=["number"], writes=["square", "process"])
def square(state: State, offset: int = 0) -> State:
    """Square a number, and say in which process."""
    return state.update(square=state["number"] ** 2 + offset, process=os.getpid())


@action(reads=["number"], writes=["square"])
def refuse(state: State) -> State:
    """Fail with an error that cannot be made again from its arguments."""
    raise Unsendable("a", "b")


@action(reads=["number"], writes=["square"])
def die(state: State) -> State:
    """End the worker, as running out of memory does."""
    os._exit(1)


class Unsendable(Exception):
    """litellm's errors are of this kind: unpickling one breaks a process pool."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")
