"""Secrets are hidden by their shape, by the names they go by, and wherever they turn up again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentflow import Secret
from agentflow.redaction import HIDDEN, Redactor, redact

SHAPED = [
    "sk-proj-abcdefgh12345678",
    "sk_live_abcdefgh12345678",
    "ghp_abcdefghijklmnop1234",
    "github_pat_11ABCDEFG0abcdefgh",
    "glpat-abcdefgh12345678",
    "xoxb-1234567890-abcdefgh",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdef",
    "hf_abcdefgh12345678",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", SHAPED)
@pytest.mark.parametrize("around", ["{}", "a\n{}\tb", "\u00e9{}", "\x01({})", '{{"nested": "{}"}}', "Bearer {}"])
def test_a_secret_that_looks_like_one_is_hidden_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)

    assert secret not in redact(text)
    assert secret not in Redactor().json(json.dumps({"said": [text]}))
    assert secret not in Redactor().json(json.dumps({text: 1}))


@pytest.mark.parametrize(
    "name", ["password", "apiKey", "API_KEY", "x-api-key", "Authorization", "client_secret", "accessToken", "Cookie"]
)
def test_what_goes_by_a_telling_name_is_hidden_whatever_it_is(name: str) -> None:
    for value in ("swordfish", ["sword", "fish"], {"a": "swordfish"}, 12345):
        assert {"inner": {name: HIDDEN}} == json.loads(Redactor().json(json.dumps({"inner": {name: value}})))


@pytest.mark.parametrize("name", ["max_tokens", "input_tokens", "keyboard", "secretary", "monkey", "passenger"])
def test_ordinary_names_are_left_alone(name: str) -> None:
    text = json.dumps({name: "value", "count": 3})

    assert text == Redactor().json(text)


def test_ordinary_words_are_left_alone() -> None:
    text = "skateboarding in a hfill of risk-free asking at https://example.com/a:b, passwords and tokens: none"

    assert text == Redactor().text(text)


def test_a_name_of_ones_own_is_hidden() -> None:
    assert {"shoeSize": HIDDEN, "hat": 3} == Redactor(["shoe-size"]).data({"shoeSize": 44, "hat": 3})


def test_a_secret_that_was_met_once_is_hidden_from_then_on() -> None:
    redactor = Redactor()
    redactor.json('{"password": "correct-horse\\"battery"}')

    assert f"no entry for {HIDDEN}" == redactor.text('no entry for correct-horse"battery')
    assert {"e": f"no entry for {HIDDEN}"} == json.loads(
        redactor.json(json.dumps({"e": 'no entry for correct-horse"battery'}))
    )


def test_a_secret_of_the_environment_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODYS_API_KEY", "open sesame 7")

    assert f'{{"a": "{HIDDEN}"}}' == Redactor().json('{"a": "open sesame 7"}')


def test_a_secret_type_shows_itself_to_nobody() -> None:
    secret = Secret("swordfish")

    assert "swordfish" == secret.reveal()
    assert "swordfish" not in f"{secret} {secret!r} {[secret]} %s" % secret
    assert (Secret("swordfish"), hash(Secret("swordfish"))) == (secret, hash(secret))
    assert secret != "swordfish"


def test_a_key_in_an_address_or_an_assignment_is_hidden() -> None:
    assert f"postgres://ada:{HIDDEN}@example.com/db" == redact("postgres://ada:hunter22@example.com/db")
    assert f"password={HIDDEN}&x=1" == redact("password=hunter22&x=1")


def test_a_private_key_is_hidden_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nMIIEdef\n-----END RSA PRIVATE KEY-----"

    assert f"a {HIDDEN} b" == redact(f"a {key} b")


# Hypothesis also tries what the program's own sources spell out, the names and shapes of secrets among them.
WORDS = some.text().filter(lambda text: text == redact(text))
NAMES = WORDS.filter(lambda name: not Redactor().hides(name))
PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | WORDS,
    lambda inner: some.lists(inner) | some.dictionaries(NAMES, inner),
)


@given(PLAIN)
def test_data_without_secrets_comes_back_as_it_was(value: object) -> None:
    text = json.dumps(value)

    assert value == json.loads(Redactor().json(text))


@given(some.text(), some.sampled_from(SHAPED), some.text())
def test_json_hides_whatever_text_hides(before: str, secret: str, after: str) -> None:
    text = before + secret + after

    assert redact(text) == json.loads(Redactor().json(json.dumps([text])))[0]
