"""Receipts: what was answered to a request that bears an Idempotency-Key, kept in the store beside the application.

A receipt is written under the ownership that the step will be committed under, so after a crash the store says whether
the step of exactly this request was committed: its row bears the same epoch. It is a small application of its own,
spawned by the one it is about, and is deleted with it. What must not live here: performing a request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agentflow.errors import ConflictError
from agentflow.persistence.encoding import encode_change, sealed_row
from agentflow.persistence.owner import holds, lets_go, new_owner
from agentflow.persistence.persister import Persister
from agentflow.persistence.reading import encode_position, restore
from agentflow.persistence.records import Birth, Claim, Key, Mark, Pointer
from agentflow.serving.problems import Refused
from agentflow.state import StateDelta

#: What is put after a partition to make the one that holds its receipts; no header can bear it.
SHELF: Final = "\x1frequests"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that bears an Idempotency-Key.

    Attributes:
        key: Where its receipt is.
        digest: Of what it asks for: another request with the same key is refused.
    """

    key: Key
    digest: str

    @classmethod
    def of(cls, partition: str, idempotency_key: str, what: str, body: Mapping[str, Any]) -> Asked:
        """The request of somebody, by the key they gave it and what it asks for."""
        text = json.dumps([what, body], sort_keys=True, default=repr)
        name = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return cls(Key(partition + SHELF, name), digest)

    @property
    def app_id(self) -> str:
        """The id of the application it makes, where it names none: the same each time it is sent."""
        return hashlib.sha256("\0".join(self.key).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of a request.

    Attributes:
        epoch: The ownership of the application that it began under.
        before: The last step of the application when it began.
        status: The HTTP status that it was answered with; None when it never was.
        answer: The answer.
    """

    epoch: int
    before: int
    status: int | None = None
    answer: Any = None


def found(persister: Persister, asked: Asked) -> Receipt | None:
    """What is known of a request, None when it is new.

    Raises:
        Refused: Another request bears the same key.
    """
    head = persister.head(asked.key)
    if head is None:
        return None
    values = restore(persister, asked.key, head.sequence_id).values
    if values["digest"] != asked.digest:
        raise Refused(
            422, "key_reused", "Another request was sent with this Idempotency-Key: give each request one of its own."
        )
    return Receipt(values["epoch"], values["before"], values.get("status"), values.get("answer"))


def begun(persister: Persister, asked: Asked, about: Key, epoch: int, before: int) -> None:
    """A request is about to be performed."""
    _written(persister, asked, about, {"digest": asked.digest, "epoch": epoch, "before": before})


def answered(persister: Persister, asked: Asked, about: Key, status: int, answer: Any) -> None:
    """A request has been answered."""
    known = found(persister, asked) or Receipt(0, -1)
    facts = {"digest": asked.digest, "epoch": known.epoch, "before": known.before}
    _written(persister, asked, about, {**facts, "status": status, "answer": answer})


def was_committed(persister: Persister, about: Key, receipt: Receipt) -> bool:
    """Whether the step of a request that was never answered is in the store."""
    rows = persister.rows(about, receipt.before, 1)
    return bool(rows) and rows[0].sequence_id == receipt.before + 1 and rows[0].epoch == receipt.epoch


def _written(persister: Persister, asked: Asked, about: Key, facts: dict[str, Any]) -> None:
    head, key = persister.head(asked.key), asked.key
    number = -1 if head is None else head.sequence_id + 1
    text, blobs = encode_change(persister.serde, key, number, StateDelta(facts))
    row = sealed_row(number, None, text, text, "", blobs)
    mark = Mark(encode_position(persister.serde, key, {}), "finished")
    owner = new_owner()
    holds(owner)
    try:
        birth = Birth(row, mark, None, Pointer(about, facts["before"]), "", blobs) if head is None else None
        claimed = persister.claim(key, Claim(owner, 5.0, number if birth else number - 1, birth))
        if birth is None:
            persister.commit(key, claimed.epoch, [row], mark, blobs)
        persister.release(key, claimed.epoch)
    except ConflictError as error:
        raise Refused(409, "in_progress", "A request with this Idempotency-Key is being answered: wait.") from error
    finally:
        lets_go(owner)
