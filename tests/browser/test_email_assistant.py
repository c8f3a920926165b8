"""The page of the email assistant, as a person uses it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Server, picture

EMAIL = """From: Robin Sample <robin@example.com>
Subject: Dinner next month

Hello,
some of us from the old team want to meet for dinner next month. Would you like to join us?
Robin"""
Open = Callable[..., Page]

pytestmark = pytest.mark.slow


def title(page: Page, text: str) -> None:
    expect(page.locator("#ask-title")).to_have_text(text)


def give_email(page: Page, instructions: str = "Accept the invitation", email: str = EMAIL) -> None:
    title(page, "Which email shall I answer?")
    page.get_by_label("The email", exact=True).fill(email)
    page.get_by_label("How shall I respond?").fill(instructions)
    page.get_by_role("button", name="Write the answer").click()


def give_answers(page: Page, text: str = "Yes, gladly") -> None:
    title(page, "Before I write, tell me")
    for field in page.locator("#form textarea").all():
        field.fill(text)
    page.get_by_role("button", name="Answer").click()


def give_feedback(page: Page, text: str) -> None:
    title(page, "What shall I change?")
    page.get_by_label("Your feedback").fill(text)
    page.get_by_role("button", name="Write another draft").click()


def drafts(page: Page) -> int:
    return page.locator("article.draft").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_whole_conversation(opened: Open, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    expect(page.get_by_label("The email", exact=True)).to_be_focused()
    picture(page, f"1-email-{scheme}")
    give_email(page)

    title(page, "Before I write, tell me")
    expect(page.locator("#form textarea").first).to_be_focused()
    expect(page.locator("#steps .reason").first).to_contain_text("leave open")
    expect(page.locator("#graph .current text")).to_have_text("clarify_instructions")
    picture(page, f"2-questions-{scheme}")
    give_answers(page)

    expect(page.locator("#draft")).to_contain_text("Dear")
    expect(page.locator("#graph .current text")).to_have_text("formulate_draft")
    picture(page, f"3-writing-{scheme}")
    give_feedback(page, "Make it shorter, and mention that I look forward to it.")

    expect(page.locator("article.draft")).to_have_count(2)
    title(page, "What shall I change?")
    expect(page.locator("article.draft").last).to_contain_text("look forward to it")
    picture(page, f"4-draft-{scheme}")
    page.get_by_role("button", name="It is fine as it is").click()

    expect(page.get_by_role("heading", name="Your answer is ready")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Finished")
    expect(page.locator("#spent")).to_contain_text("tokens")
    steps = page.locator("#steps .step strong")
    expect(steps).to_have_count(8)
    assert ["process input", "determine clarifications"] == steps.all_text_contents()[:2]
    picture(page, f"5-finished-{scheme}")


def test_reloading_at_any_moment_loses_nothing_not_even_what_was_typed(opened: Open) -> None:
    page = opened()
    title(page, "Which email shall I answer?")
    page.get_by_label("The email", exact=True).fill("half an em")
    page.reload()
    expect(page.get_by_label("The email", exact=True)).to_have_value("half an em")
    give_email(page)
    title(page, "Before I write, tell me")
    page.reload()
    give_answers(page)
    expect(page.locator("#draft")).to_contain_text("Dear")
    page.reload()  # in the middle of the draft, which goes on meanwhile
    title(page, "What shall I change?")
    expect(page.locator("article.draft")).to_have_count(1)
    expect(page.locator("article.draft")).to_contain_text("Best wishes")


def test_a_conversation_can_be_come_back_to_in_another_window(opened: Open, server: Server) -> None:
    page = opened()
    give_email(page)
    title(page, "Before I write, tell me")
    place = page.url
    again = opened()
    again.goto(place)
    give_answers(again)
    title(again, "What shall I change?")
    title(page, "What shall I change?")  # it was watching
    expect(page.locator("article.draft")).to_have_count(1)
    other = opened()
    other.locator("#earlier").select_option(re.search("id=(.+)", place)[1])  # type: ignore[index]
    expect(other.locator("article.draft")).to_have_count(1)


def test_a_new_conversation_that_is_slow_to_begin_does_not_take_the_place_of_one_opened_meanwhile(
    opened: Open, server: Server
) -> None:
    page = opened()
    give_email(page)
    title(page, "Before I write, tell me")
    place = page.url
    again = opened()
    title(again, "Which email shall I answer?")
    held: list[Route] = []
    again.route("**/create", lambda route: held.append(route))
    with again.expect_request("**/create"):
        again.get_by_role("button", name="New").click()
    again.goto(place)
    title(again, "Before I write, tell me")
    with again.expect_response("**/create"):
        held[0].continue_()
    give_answers(again)
    title(again, "What shall I change?")
    assert place == again.url


def test_of_two_tabs_that_answer_at_once_one_is_taken_and_the_other_told(opened: Open) -> None:
    page = opened()
    give_email(page)
    title(page, "Before I write, tell me")
    other = page.context.new_page()
    other.goto(page.url)
    title(other, "Before I write, tell me")
    # Neither watches what happens, as two laptops with bad connections would not.
    for each in (page, other):
        each.locator("#form textarea").first.fill("Mine")
    page.evaluate("document.querySelector('#form button.main').click()")
    other.evaluate("document.querySelector('#form button.main').click()")
    for each in (page, other):
        title(each, "What shall I change?")
        expect(each.locator("article.draft")).to_have_count(1)
    told = [each.locator("#notice").is_visible() for each in (page, other)]
    assert told.count(True) <= 1
    expect(page.locator("#steps .step strong", has_text="clarify instructions")).to_have_count(1)


def test_a_server_that_is_killed_in_the_middle_of_a_draft_goes_on_where_it_was(opened: Open, mortal: Server) -> None:
    page = opened(mortal.address)
    give_email(page)
    give_answers(page)
    expect(page.locator("#draft")).to_contain_text("Dear")
    mortal.kill()
    expect(page.locator("#status")).to_contain_text("connection is lost")
    picture(page, "6-lost")
    mortal.start()
    title(page, "What shall I change?")  # the request is sent again, and counts once
    expect(page.locator("article.draft")).to_have_count(1)
    expect(page.locator("#steps .step strong", has_text="clarify instructions")).to_have_count(1)


def test_a_page_that_comes_back_after_a_crash_can_go_on(opened: Open, mortal: Server) -> None:
    page = opened(mortal.address)
    give_email(page)
    give_answers(page)
    expect(page.locator("#draft")).to_contain_text("Dear")
    place = page.url
    mortal.kill()
    page.close()
    mortal.start()
    page = opened(mortal.address)
    page.goto(place)
    title(page, "Shall I go on?")
    picture(page, "7-interrupted")
    page.get_by_role("button", name="Go on").click()
    title(page, "What shall I change?")
    expect(page.locator("article.draft")).to_have_count(1)


def test_a_draft_can_be_stopped_and_gone_on_with(opened: Open) -> None:
    page = opened()
    give_email(page)
    give_answers(page)
    expect(page.locator("#draft")).to_contain_text("Dear")
    page.get_by_role("button", name="Stop").click()
    title(page, "Shall I go on?")
    page.get_by_role("button", name="Go on").click()
    title(page, "What shall I change?")
    expect(page.locator("article.draft")).to_have_count(1)


def test_without_its_token_the_page_shows_nothing_and_asks_for_it(opened: Open, server: Server) -> None:
    bare, _, token = server.address.partition("#token=")
    page = opened(bare)
    expect(page.get_by_role("heading", name="This page needs its key")).to_be_visible()
    page.get_by_label("Token").fill("a wrong one")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name="This page needs its key")).to_be_visible()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Open").click()
    title(page, "Which email shall I answer?")
    assert token not in page.url


def test_the_whole_conversation_by_keyboard_alone(opened: Open) -> None:
    page = opened()
    title(page, "Which email shall I answer?")
    page.keyboard.type("Subject: Order 17\n\nYour order is late.\nKim")
    page.keyboard.press("Tab")
    page.keyboard.type("Accept, because it is fine")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    title(page, "What shall I change?")
    expect(page.get_by_label("Your feedback")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your answer is ready")).to_be_visible()


def test_everything_that_can_be_used_has_a_name_and_the_page_fits_a_telephone(opened: Open) -> None:
    page = opened()
    give_email(page)
    title(page, "Before I write, tell me")
    for control in page.locator("button:visible, textarea:visible, select:visible, input:visible").all():
        name = control.evaluate("e => e.labels && e.labels.length ? e.labels[0].textContent : e.textContent")
        assert name.strip()
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    picture(page, "8-telephone")
