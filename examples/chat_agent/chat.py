"""A chat agent that writes, draws or asks back, as a model decides. Try: python chat.py "Draw a cat" """

import sys
from functools import partial

from agentflow import Application, ApplicationBuilder, LLMDecider, State, action
from agentflow.llm import Completion, complete


@action(reads=[], writes=["query", "history"])
def listen(state: State, query: str) -> State:
    """Take what the person says."""
    return state.update(query=query).append(history={"role": "user", "content": query})


@action(reads=["history"], writes=["history"], tags=["answer"])
def generate_text(state: State, ask) -> State:
    """Answer in words: questions, explanations, stories, small talk."""
    return answer(state, ask(state["history"]))


@action(reads=["query"], writes=["history"], tags=["answer"])
def generate_image(state: State, ask) -> State:
    """Draw a picture of something the person describes."""
    return answer(state, ask(f"Reply with one SVG image and nothing else: {state['query']}"))


@action(reads=["history"], writes=["history"], tags=["answer"])
def ask_for_details(state: State, ask) -> State:
    """Ask back, when it is not clear what the person wants or about what."""
    return answer(state, ask(state["history"], system="Ask one short question to understand."))


def answer(state: State, reply: Completion) -> State:
    return state.append(history={"role": "assistant", "content": reply.text})


def application(model: str = "gpt-4o-mini", **options: str) -> Application:
    ask = partial(complete, model, **options)
    answers = [action.bind(ask=ask) for action in (generate_text, generate_image, ask_for_details)]
    return (
        ApplicationBuilder()
        .with_actions(listen, *answers)
        .with_transitions(
            ("listen", answers, LLMDecider(model, reads=["query"], **options)),
            (answers, "listen"),
        )
        .with_entrypoint("listen")
        .with_state(history=[])
        .build()
    )


if __name__ == "__main__":
    app = application()
    for query in sys.argv[1:] or iter(lambda: input("\nyou: "), ""):
        _, _, state = app.run(halt_after="@tag:answer", inputs={"query": query})
        print(f"\n({app.why(app.sequence_id)})\n{state['history'][-1]['content']}")
