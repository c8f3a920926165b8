"""What one ask of a model gave, and what several of them give together.

What must not live here: asking.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from agentflow.usage import NOTHING, Usage, total


@dataclass(frozen=True, slots=True)
class Ballot:
    """One answer.

    Attributes:
        target: The name that was chosen, None for an abstention.
        reason: Why, in the model's words.
        confidence: Between 0 and 1, if known.
        raw: What the model wrote.
        usage: What it used.
    """

    target: str | None
    reason: str = ""
    confidence: float | None = None
    raw: str = ""
    usage: Usage = field(default=NOTHING)

    def as_text(self) -> str:
        """The ballot as a cache keeps it."""
        kept = {"target": self.target, "reason": self.reason, "confidence": self.confidence, "raw": self.raw}
        return json.dumps(kept, ensure_ascii=False)


def from_text(text: str, names: Collection[str]) -> Ballot | None:
    """The ballot that a cache kept; None when the text is none, or names no target."""
    try:
        kept = json.loads(text)
        target, confidence = kept["target"], kept["confidence"]
        ballot = Ballot(
            target, str(kept["reason"]), None if confidence is None else float(confidence), str(kept["raw"])
        )
    except (ValueError, TypeError, KeyError):
        return None
    return ballot if target is None or (isinstance(target, str) and target in names) else None


def majority(ballots: Sequence[Ballot], abstains_on_tie: bool) -> Ballot:
    """What most of them say; the confidence is their share, the reason that of the surest of them.

    A tie is an abstention where that is allowed. Otherwise the side that is surer of itself wins, and if that does not
    tell them apart either, the first name in the alphabet: the same ballots always give the same result.
    """
    counts = Counter(ballot.target for ballot in ballots)
    most = max(counts.values())
    leaders = sorted(
        (target for target, count in counts.items() if count == most), key=lambda name: (name is None, name)
    )
    spent = total(ballot.usage for ballot in ballots)
    raw = json.dumps([ballot.raw for ballot in ballots], ensure_ascii=False)
    tally = ", ".join(
        f"{name or 'none'} {count}" for name, count in sorted(counts.items(), key=lambda each: str(each[0]))
    )
    if len(leaders) > 1 and abstains_on_tie:
        return Ballot(None, f"a tie: {tally}", None, raw, spent)
    sureness = {name: sum(b.confidence or 0.0 for b in ballots if b.target == name) for name in leaders}
    winner = max(leaders, key=lambda name: sureness[name])
    best = max((b for b in ballots if b.target == winner), key=lambda b: (b.confidence or 0.0, b.reason))
    reason = f"{most} of {len(ballots)} votes: {best.reason}".removesuffix(": ")
    return replace(best, reason=reason, confidence=most / len(ballots), raw=raw, usage=spent)
