"""ExecuteMethod: by which public verb a run was started, as hooks are told.

What must not live here: the verbs.
"""

from __future__ import annotations

from enum import StrEnum


class ExecuteMethod(StrEnum):
    """The public verb a run was started by."""

    step = "step"
    astep = "astep"
    iterate = "iterate"
    aiterate = "aiterate"
    run = "run"
    arun = "arun"
    stream_result = "stream_result"
    astream_result = "astream_result"
    stream_iterate = "stream_iterate"
    astream_iterate = "astream_iterate"
