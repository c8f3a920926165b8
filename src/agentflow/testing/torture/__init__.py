"""Torture: counted crashes, races, cancellations and faults, with real stores, real processes and real signals.

`agentflow torture` runs every row and prints the table; the tests run a small part of each size. What must not live
here: anything that a program under test needs.
"""

from __future__ import annotations
