// The page: it shows where a conversation stands, and the form that the server says comes next. It decides nothing.

import { Refusal, follow, get, send, unlock } from "./api.js";
import { cost, decision, element, light, picture, step, worded } from "./shown.js";

const at = (id) => document.getElementById(id);
const DOING = {
  process_input: "Reading the email",
  determine_clarifications: "Thinking about what to ask",
  clarify_instructions: "Taking your answers",
  formulate_draft: "Writing a draft",
  process_feedback: "Reading your feedback",
  final_result: "Finishing",
};
let here = null; // the id of the conversation that is open; what is told of another one comes too late
let view = null; // that conversation as the server told it last
let acting = null; // the action that runs
let watching = null; // stops the stream of what happens
let graph = null;
let steps = []; // the history
let shownForm = ""; // which form is shown, so that what is typed stays
let sending = false;

// -- which conversation

function idInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("id");
}

async function open(id) {
  here = id;
  if (watching) watching.abort();
  watching = new AbortController();
  [view, acting, steps, shownForm, sending] = [null, null, [], "", false];
  at("told").replaceChildren();
  at("steps").replaceChildren();
  if (idInAddress() !== id) history.pushState(null, "", `#id=${id}`);
  const place = `applications/${encodeURIComponent(id)}`;
  follow(`${place}/events`, happened, lost, watching.signal).catch(refused);
  await listEarlier(id);
}

/** Open a new conversation, unless another one was opened while it was made. */
async function begin() {
  const before = here;
  const begun = await send("POST", "create", null, null, lost);
  if (here === before) await open(begun.app_id);
}

async function listEarlier(id) {
  const found = await get("applications?limit=500");
  if (here !== id) return;
  const newest = found.applications.sort((one, other) => other.updated_at - one.updated_at);
  const options = newest.map((each) => {
    const when = new Date(each.updated_at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    return element("option", { value: each.app_id, selected: each.app_id === id }, `${when} · ${each.app_id.slice(0, 6)}`);
  });
  at("earlier").replaceChildren(...options);
}

// -- what happens

function happened(kind, facts) {
  if (kind === "state") return told(facts);
  if (kind === "deleted") return refused(new Refusal(404, { message: "This conversation was deleted." }));
  if (!view || (facts.sequence_id !== undefined && facts.sequence_id < view.sequence_id)) return undefined;
  if (kind === "begin") {
    acting = facts.action;
    at("draft").textContent = "";
  } else if (kind === "token" && facts.sequence_id > view.sequence_id) {
    acting = facts.action;
    if (facts.item && typeof facts.item.delta === "string") at("draft").append(facts.item.delta);
  } else if (kind === "step") {
    tellSteps();
  } else if (kind === "decision" && facts.targets.length > 1) {
    at("steps").append(element("li", { class: "coming" }, decision(facts)));
  } else if (kind === "failed") {
    acting = null;
    get(`applications/${encodeURIComponent(here)}/state`).then(told, refused);
  }
  work();
  return undefined;
}

function told(facts) {
  if (facts.app_id !== here) return;
  const before = view;
  view = facts;
  connected();
  if (view.status !== "running") acting = null;
  if (!before || before.sequence_id !== view.sequence_id) tellSteps();
  conversation();
  work();
  form();
}

async function tellSteps() {
  const id = here;
  try {
    const after = steps.length ? `&after=${steps.at(-1).sequence_id}` : "";
    const found = await get(`applications/${encodeURIComponent(id)}/history?limit=500${after}`);
    if (here !== id) return;
    const last = steps.length ? steps.at(-1).sequence_id : -2;
    steps.push(...found.steps.filter((each) => each.sequence_id > last));
  } catch (problem) {
    return refused(problem);
  }
  at("steps").replaceChildren(...steps.filter((each) => each.action).map(step));
  spent();
  work();
  return undefined;
}

function spent() {
  let [dollars, tokens] = [null, 0];
  for (const each of steps) {
    for (const part of [...each.decisions, ...(each.usage ? [each.usage] : [])]) {
      tokens += part.tokens ?? part.input_tokens + part.output_tokens;
      if (part.cost !== null) dollars = (dollars ?? 0) + part.cost;
    }
  }
  at("spent").textContent = tokens ? `${cost(dollars, tokens)} so far` : "";
}

// -- what is shown

function conversation() {
  const state = view.state;
  const parts = [];
  if (state.email_to_respond !== null) {
    parts.push(part("The email", letter(state.email_to_respond), "email"));
    parts.push(part("How to respond", element("p", { class: "said" }, state.response_instructions), "yours"));
  }
  if (state.answers) {
    const pairs = (state.questions || []).flatMap((question, number) => [
      element("dt", {}, question),
      element("dd", {}, state.answers[number] ?? ""),
    ]);
    parts.push(part("Questions and answers", element("dl", {}, ...pairs), "yours"));
  }
  state.drafts.forEach((draft, number) => {
    const is_last = number === state.drafts.length - 1;
    if (!(is_last && state.final_draft !== null)) parts.push(part(`Draft ${number + 1}`, letter(draft), is_last ? "draft" : "draft old"));
    const said = state.feedback_history[number];
    if (said !== undefined) parts.push(part("Your feedback", element("p", { class: "said" }, said), "yours"));
  });
  if (state.final_draft !== null) parts.push(finished(state.final_draft));
  at("told").replaceChildren(...parts);
}

function part(title, body, kind) {
  return element("article", { class: kind }, element("h2", {}, title), body);
}

function letter(text) {
  return element("div", { class: "letter" }, text);
}

function finished(text) {
  const copy = element("button", { type: "button", class: "main" }, "Copy the answer");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text).then(() => say("Copied."), () => say("The browser does not let this page copy: select the text."));
  });
  return element("article", { class: "final" }, element("h2", { tabindex: "-1" }, "Your answer is ready"), letter(text), copy);
}

function work() {
  if (!view) return;
  const running = view.status === "running" || acting !== null || sending;
  at("writing").hidden = !running;
  at("writing-what").textContent = DOING[acting] || (acting ? worded(acting) : "Working");
  at("draft").hidden = !at("draft").textContent;
  at("cancel").hidden = acting === null;
  if (running) at("ask").hidden = true;
  const last = steps.at(-1);
  const stands = view.next_step || (view.status === "finished" && last ? last.action : null);
  light(graph, acting || stands, new Set(steps.map((each) => each.action)));
  if (!at("status").classList.contains("lost")) say(running ? `${DOING[acting] || "Working"} …` : standing());
}

function standing() {
  if (view.status === "finished") return "Finished";
  if (view.next_step === "process_input") return "Waiting for an email";
  if (view.next_step === "clarify_instructions") return "Waiting for your answers";
  if (view.next_step === "process_feedback") return `Draft ${view.state.drafts.length} is ready`;
  return view.can_run ? "Interrupted" : worded(view.status);
}

function say(text) {
  if (at("status").textContent !== text) at("status").textContent = text;
}

// -- asking

function form() {
  const running = view.status === "running" || sending;
  const asked = running ? null : asks();
  at("ask").hidden = asked === null;
  if (asked === null) return;
  const which = `${view.app_id} ${view.sequence_id} ${view.next_step} ${view.status}`;
  if (which === shownForm) return;
  const first = shownForm === "";
  shownForm = which;
  at("ask-title").textContent = asked.title;
  at("form").replaceChildren(...asked.fields, element("div", { class: "buttons" }, ...asked.buttons));
  restore();
  at("draft").textContent = "";
  const target = at("form").querySelector("textarea, input") || at("ask-title");
  if (!first || view.next_step === "process_input") target.focus({ preventScroll: first });
  if (!first) at("ask").scrollIntoView({ block: "nearest" });
}

function asks() {
  if (view.next_step === "process_input") {
    return {
      title: "Which email shall I answer?",
      fields: [field("email", "The email", true, "Paste it with its subject and its sender"), field("instructions", "How shall I respond?", true, "For example: accept, and ask what to bring", 3)],
      buttons: [submit("Write the answer")],
    };
  }
  if (view.next_step === "clarify_instructions") {
    const fields = (view.state.questions || []).map((question, number) => field(`answer-${number}`, question, false, "", 2));
    return { title: "Before I write, tell me", fields, buttons: [submit("Answer")] };
  }
  if (view.next_step === "process_feedback") {
    const fine = element("button", { type: "submit", value: "fine", formnovalidate: true }, "It is fine as it is");
    return { title: "What shall I change?", fields: [field("feedback", "Your feedback", true, "For example: shorter, and less formal", 3)], buttons: [submit("Write another draft"), fine] };
  }
  if (view.can_run) {
    const why = view.error || (view.status === "cancelled" ? "You stopped it." : "It was interrupted. Nothing that was finished is lost.");
    return { title: "Shall I go on?", fields: [element("p", {}, why)], buttons: [submit("Go on")] };
  }
  return null;
}

function field(name, label, required, hint, rows = 8) {
  const input = element("textarea", { id: name, name, rows, required, placeholder: hint });
  input.addEventListener("input", () => sessionStorage.setItem(typed(name), input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
  });
  return element("div", { class: "field" }, element("label", { for: name }, label), input);
}

function submit(text) {
  return element("button", { type: "submit", class: "main", value: "send" }, text);
}

const typed = (name) => `${view.app_id} ${view.sequence_id} ${name}`;

function restore() {
  for (const input of at("form").querySelectorAll("textarea")) input.value = sessionStorage.getItem(typed(input.name)) || "";
}

function wish(values, pressed) {
  const id = encodeURIComponent(here);
  switch (view.next_step) {
    case "process_input":
      return ["PUT", `initialize_draft/${id}`, { email_to_respond: values.get("email"), response_instructions: values.get("instructions") }];
    case "clarify_instructions":
      return ["PUT", `clarify_instructions/${id}`, { answers: (view.state.questions || []).map((_, number) => values.get(`answer-${number}`)) }];
    case "process_feedback":
      return ["PUT", `process_feedback/${id}`, { feedback: pressed === "fine" ? "" : values.get("feedback") }];
    default:
      return ["POST", `applications/${id}/run`, null];
  }
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending) return;
  const id = here;
  const request = wish(new FormData(at("form")), event.submitter ? event.submitter.value : "send");
  const names = [...at("form").querySelectorAll("textarea")].map((input) => typed(input.name));
  sending = true;
  notice("");
  work();
  try {
    await send(...request, view.sequence_id, lost);
    for (const name of names) sessionStorage.removeItem(name);
  } catch (problem) {
    if (here === id) refused(problem);
  }
  if (here !== id) return;
  sending = false;
  await get(`applications/${encodeURIComponent(id)}/state`).then(told, refused);
});

at("cancel").addEventListener("click", () => {
  send("POST", `applications/${encodeURIComponent(here)}/cancel`, null, null, lost).then(told, refused);
});

// -- what goes wrong

function refused(problem) {
  if (!(problem instanceof Refusal)) {
    notice("The server cannot be reached. What you typed is kept; try again.");
  } else if (problem.status === 401) {
    locked();
  } else if (problem.said.error === "conflict" || problem.said.error === "not_next") {
    notice("This conversation was continued in another window. This is how it stands now.");
  } else if (problem.said.error !== "cancelled") {
    notice(problem.message);
  }
}

function locked() {
  if (watching) watching.abort();
  for (const id of ["ask", "writing"]) at(id).hidden = true;
  at("locked").hidden = false;
  at("locked-title").focus();
}

function notice(text) {
  at("notice").hidden = !text;
  at("notice").textContent = text;
}

function lost() {
  at("status").classList.add("lost");
  say("The connection is lost. Trying again …");
}

function connected() {
  at("status").classList.remove("lost");
}

// -- beginning

at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock(at("token").value);
  at("locked").hidden = true;
  start();
});
at("new").addEventListener("click", () => begin().catch(refused));
at("earlier").addEventListener("change", () => open(at("earlier").value).catch(refused));
window.addEventListener("popstate", () => idInAddress() && open(idInAddress()).catch(refused));

async function start() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    unlock(given);
    history.replaceState(null, "", location.pathname);
  }
  try {
    graph = picture(await get("graph"));
    at("graph").replaceChildren(graph);
    const found = idInAddress();
    await (found ? open(found) : begin());
  } catch (problem) {
    refused(problem);
  }
}

start();
