"""Every exception agentflow raises, and how a message is worded.

    AgentflowError
    |- BuildError (ValueError)             the graph or the application is wrong; nothing has run
    |  |- UnknownNameError                 a name nobody declared, with "did you mean"
    |  |  |- UnknownTargetError            the same, at the end of a transition
    |  |- DuplicateNameError               one name given to two things
    |  |- ExpressionError                  an `expr` string that is not allowed, with a caret
    |- MissingExtraError (ImportError)     an optional library is not installed
    |- RunError                            something went wrong while running
    |  |- StateError
    |  |  |- MissingKeyError (KeyError)    a state key that has no value
    |  |  |- UndeclaredKeyError (KeyError) a key read or written without being declared
    |  |  |- InvalidValueError (ValueError) a value the declared type refuses
    |  |- InputError (ValueError)          inputs that are missing, unknown or reserved
    |  |- ResultError (TypeError)          user code returned something else than it promised
    |  |- AsyncCodeError (TypeError)       async code met on a blocking run
    |  |- ActionTimeoutError (TimeoutError) an action took longer than its `timeout`
    |  |- BusyError                        the application is already running a step or a stream
    |  |- StepLimitError                   `max_steps` were performed and the run was not over
    |  |- BudgetError                      a child was stopped because the run's budget is used up
    |  |- DecideError                      a choice came to nothing, or to an undeclared target
    |  |- EvaluationError                  an expression met values it cannot work with
    |  |- ConflictError                    somebody else has moved the application on
    |  |  |- HeldError (BusyError)         somebody else is running it right now
    |  |- UncertainStep                    an action that may run once only may have run before a crash
    |- StoreError                          the place where runs are saved cannot be reached, written or read
    |  |- CorruptRecord (ValueError)       a saved record that is damaged, or names a type nobody registered
    |- GraphMismatch (BuildError)          a saved run no longer fits the graph it is loaded into
    |- SerializationError (TypeError)      a value that cannot be saved
    |- ProviderError                       a call to a model failed for good
    |  |- RealCallError                    a real call to a provider while such calls are forbidden

A message is one sentence that states the fact with its names, then the remedy. What must not live here: anything
that catches, logs or retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class AgentflowError(Exception):
    """The base of everything agentflow raises on purpose."""


class BuildError(AgentflowError, ValueError):
    """The graph or the application is wrong, and nothing has run.

    Attributes:
        problems: Every problem found, in the order found; a single problem holds itself.
    """

    def __init__(self, message: str, problems: Sequence[BuildError] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[BuildError, ...] = tuple(problems) or (self,)


class UnknownNameError(BuildError):
    """A name that nobody declared."""


class UnknownTargetError(UnknownNameError):
    """A transition to something that was not added."""


class DuplicateNameError(BuildError):
    """One name given to two things."""


class ExpressionError(BuildError):
    """An expression that is not in the allowed subset; the message shows a caret under the offending part."""


class MissingExtraError(AgentflowError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'agentflow-select[{extra}]'.")


class RunError(AgentflowError):
    """Something went wrong while an application was running."""


class StateError(RunError):
    """The state was used against its declaration."""


class _KeyError(StateError, KeyError):
    """KeyError prints the repr of its argument; a sentence must be printed as a sentence."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingKeyError(_KeyError):
    """A state key that has no value."""


class UndeclaredKeyError(_KeyError):
    """A state key that is read or written without being declared."""


class InvalidValueError(StateError, ValueError):
    """A value that the declared type of its state key refuses."""


class InputError(RunError, ValueError):
    """Inputs that are missing, that nobody takes, or whose names are reserved."""


class ResultError(RunError, TypeError):
    """User code returned something else than it promised."""


class AsyncCodeError(RunError, TypeError):
    """Async code was met on a blocking run."""


class ActionTimeoutError(RunError, TimeoutError):
    """An action took longer than its `timeout`."""


class BusyError(RunError):
    """The application is already running a step, or a stream of it is still open."""


class StepLimitError(RunError):
    """`max_steps` steps were performed and the run was not over."""


class BudgetError(RunError):
    """A child was stopped because the budget of the run is used up; the run itself halts and raises nothing."""


class DecideError(RunError):
    """A choice came to nothing, or to a target that was not declared.

    Attributes:
        source: The name that was being left.
        answer: What the selector answered, as text.
        targets: The names it may choose from.
    """

    def __init__(self, message: str, *, source: str = "", answer: str = "", targets: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.source = source
        self.answer = answer
        self.targets: tuple[str, ...] = tuple(targets)


class EvaluationError(RunError):
    """An expression met values that are not plain data, do not fit its operators, or are too many."""


class ConflictError(RunError):
    """Somebody else has moved the application on; nothing of this step was committed.

    Attributes:
        app_id: The application.
        sequence_id: The last step that is committed, None when that is not known.
    """

    def __init__(self, message: str, app_id: str = "", sequence_id: int | None = None) -> None:
        super().__init__(message, app_id, sequence_id)  # all positional, so that it survives pickling
        self.app_id = app_id
        self.sequence_id = sequence_id

    def __str__(self) -> str:
        return str(self.args[0])


class HeldError(ConflictError, BusyError):
    """Somebody else is running the application right now.

    Attributes:
        owner: Who holds it, as host, process and object.
        seconds: How long until its lease ends, unless it is renewed.
    """

    def __init__(
        self,
        message: str,
        app_id: str = "",
        sequence_id: int | None = None,
        owner: str = "",
        seconds: float = 0.0,
    ) -> None:
        super().__init__(message, app_id, sequence_id)
        self.args: tuple[object, ...] = (message, app_id, sequence_id, owner, seconds)
        self.owner = owner
        self.seconds = seconds


class UncertainStep(RunError):
    """An action that may run at most once was begun and never committed: it may have had its effect, or not.

    Attributes:
        action: Its name.
        sequence_id: The step.
    """

    def __init__(self, message: str, action: str = "", sequence_id: int = -1) -> None:
        super().__init__(message, action, sequence_id)
        self.action = action
        self.sequence_id = sequence_id

    def __str__(self) -> str:
        return str(self.args[0])


class StoreError(AgentflowError):
    """The place where runs are saved cannot be reached, written or read; the run is where its last commit left it."""


class CorruptRecord(StoreError, ValueError):
    """A saved record is damaged, or names a type that nobody registered; other applications are not affected.

    Attributes:
        app_id: The application, "" when that is not known here.
        sequence_id: The step, None when it is none.
    """

    def __init__(self, message: str, app_id: str = "", sequence_id: int | None = None) -> None:
        super().__init__(message, app_id, sequence_id)
        self.app_id = app_id
        self.sequence_id = sequence_id

    def __str__(self) -> str:
        return str(self.args[0])


class GraphMismatch(BuildError):
    """A saved run no longer fits the graph: an action it stands at is gone, or its state lacks what the graph needs."""


class SerializationError(AgentflowError, TypeError):
    """A value that cannot be saved; the message names its key path and its type."""


class ProviderError(AgentflowError):
    """A call to a model failed for good.

    Attributes:
        kind: Why: "auth", "bad_request", "rate_limit", "server", "connection", "timeout", "malformed", "refused"
            or "circuit_open".
        attempts: How many HTTP calls were made.
        status: The HTTP status of the last response, None when no complete one came.
        log: Every attempt, in order, as `agentflow.llm.Attempt`.
    """

    def __init__(self, message: str, kind: str = "server", attempts: int = 1) -> None:
        super().__init__(message, kind, attempts)  # all positional, so that it survives pickling between processes
        self.kind = kind
        self.attempts = attempts
        self.status: int | None = None
        self.log: tuple[object, ...] = ()

    def __str__(self) -> str:
        return str(self.args[0])


class RealCallError(ProviderError):
    """A real call to a provider was about to be made while such calls are forbidden; no socket was opened."""

    def __init__(self, message: str, kind: str = "refused", attempts: int = 0) -> None:
        super().__init__(message, kind, attempts)


class UnusedInputWarning(UserWarning):
    """Inputs were offered to a run, and no action that ran takes them."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence to append to a message: the nearest known name, or all of them when none is near and they are few.

    >>> did_you_mean("generate_txt", ["generate_text", "ask"])
    "Did you mean 'generate_text'?"
    """
    import difflib  # only where something went wrong

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    if not names:
        return "None is declared."
    shown = ", ".join(map(repr, names[:8]))
    return f"Known: {shown}{', ...' if len(names) > 8 else ''}."


def raise_problems(subject: str, problems: Sequence[BuildError]) -> None:
    """Raise all problems as one error, a single one as itself, and return when there are none."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise BuildError(f"{subject} has {len(problems)} problems:\n{lines}", problems)
