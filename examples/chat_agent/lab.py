"""How well four deciders choose among the chat agent's targets, on the labelled cases beside this file; offline."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the examples, however this one was started

from chat_agent.chat import ask_for_details, generate_image, generate_text
from chat_agent.terminal import scripted

from agentflow import Cascade, EmbeddingDecider, LLMDecider, RuleDecider
from agentflow.select.hashing import HashingEmbedder
from agentflow.select.lab import Comparison, evaluate, read_cases
from agentflow.testing import ScriptedProvider

WORDS = {
    "generate_image": [
        "draw",
        "drawing",
        "picture",
        "image",
        "sketch",
        "paint",
        "painting",
        "illustrate",
        "logo",
        "icon",
    ],
    "generate_text": ["why", "how", "what", "explain", "write", "tell", "who", "name", "describe", "translate"],
}
UTTERANCES = {
    "generate_image": ["Draw a house by the sea", "Paint a portrait of a dog", "An illustration of a castle, please"],
    "generate_text": ["Why is the sky blue?", "Write a short story about a train", "Explain how a lock works"],
    "ask_for_details": ["Do that", "Fix it for me", "The same again", "Can you help with this one?"],
}


def compared() -> Comparison:
    """The deciders side by side; the model is scripted and follows simple rules, so its row shows costs, not skill."""
    rules = RuleDecider(WORDS, reads=["query"])
    nearest = EmbeddingDecider(embedder=HashingEmbedder(), examples=UTTERANCES, thresholds=0.15, reads=["query"])
    model = LLMDecider(reads=["query"])
    deciders = {
        "rules": rules,
        "nearness": nearest,
        "model (scripted)": model,
        "rules, then model": Cascade(rules, model),
    }
    targets = [generate_text, generate_image, ask_for_details]
    with ScriptedProvider(scripted):
        return evaluate(deciders, targets, read_cases(Path(__file__).parent / "cases.jsonl"), key="query")


if __name__ == "__main__":
    print(compared().table())
