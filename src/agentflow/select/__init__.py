"""One choice among named targets: the promise, the record, and the ways to choose."""

from agentflow.select.selector import END, Decision, Select, Selector, Target
from agentflow.select.switch import Switch, switch

__all__ = ["END", "Decision", "Select", "Selector", "Switch", "Target", "switch"]
