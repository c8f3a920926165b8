"""The router lab: how well selectors choose, measured on labelled cases, side by side."""

from agentflow.select.lab.cases import read_cases
from agentflow.select.lab.measuring import aevaluate, evaluate
from agentflow.select.lab.report import Comparison, Outcome, Report, Score

__all__ = ["Comparison", "Outcome", "Report", "Score", "aevaluate", "evaluate", "read_cases"]
