// What a test of hostile texts puts into a page before the page's own scripts: a witness, and a person in a hurry.
//
// The witness remembers every element that is ever made and every text that is ever streamed, however briefly it is
// there. The person types a text wherever one can be typed, and says what was to be seen of it.
(() => {
  const at = (id) => document.getElementById(id);
  const made = new Set(); // the kinds of elements that came: a name, and what attributes it has
  const violations = [];
  let streamed = [];
  let coming = []; // reasons of choices, as they were told before their step was
  let stream = "";

  const kind = (element) => `${element.localName}[${[...element.attributes].map((each) => each.name).sort()}]`;

  function remember(node) {
    if (!(node instanceof Element)) return;
    made.add(kind(node));
    if (node.className === "coming") coming.push(...[...node.querySelectorAll(".reason")].map((each) => each.textContent));
    for (const inner of node.querySelectorAll("*")) made.add(kind(inner));
  }

  new MutationObserver((records) => {
    for (const record of records) {
      record.addedNodes.forEach(remember);
      if (record.target.id !== "draft") continue;
      if (record.removedNodes.length) stream = "";
      for (const node of record.addedNodes) stream += node.textContent;
      streamed.push(stream);
    }
  }).observe(document, { childList: true, subtree: true });
  document.addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.sample}`));

  async function until(what, holds) {
    const end = performance.now() + 30000;
    for (;;) {
      const found = holds();
      if (found) return found;
      if (performance.now() > end) throw new Error(`waited in vain for ${what}; ${JSON.stringify(texts("#status, #notice, #ask-title"))}`);
      await new Promise((done) => setTimeout(done, 3));
    }
  }

  const texts = (selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent);
  const hidden = (element) => element === null || element.closest("[hidden]") !== null;
  const asked = (title) => until(title, () => !hidden(at("ask")) && at("ask-title").textContent === title && at("form"));

  /** The form that comes when another conversation is opened: not the one that is there already. */
  async function another(title, open) {
    const before = at("form").firstChild;
    open();
    await until("another form", () => at("form").firstChild !== before);
    return asked(title);
  }

  /** Type texts into the form: one into each field where there are as many, all of them into every field otherwise. */
  function type(given) {
    const fields = [...at("form").querySelectorAll("textarea")];
    for (const [number, field] of fields.entries()) {
      field.value = fields.length === given.length ? given[number] : given.join("\n");
      field.dispatchEvent(new Event("input"));
    }
    return fields;
  }

  async function press(name) {
    const button = await until(name, () => [...at("form").querySelectorAll("button")].find((each) => each.textContent === name));
    at("notice").textContent = "";
    button.click();
  }

  /** The page as it is, without its texts: every element with its attributes, but for the list of conversations. */
  function bones() {
    const all = [...document.querySelectorAll("*")].filter((each) => each.localName !== "option");
    return all.map((each) => `${each.localName} ${[...each.attributes].map((one) => `${one.name}=${one.value}`)}`);
  }

  /** A whole conversation in which everybody, the model and the provider as well, says the same texts. */
  async function converse(given) {
    const seen = {};
    [streamed, coming] = [[], []];
    await until("the conversation before", () => at("form").firstChild);
    await another("Which email shall I answer?", () => at("new").click());
    await typedTwice(given, seen);
    await press("Write the answer");
    await asked("Shall I go on?");
    Object.assign(seen, { refusal: texts("#notice"), failure: texts("#form p") });
    await press("Go on");
    await asked("Before I write, tell me");
    seen.labels = texts("#form label");
    type(given);
    await press("Answer");
    await asked("What shall I change?");
    type(given);
    const drafts = () => texts("article.draft .letter").length;
    await press("Write another draft");
    await until("another draft", () => drafts() === 2 && !hidden(at("ask")));
    Object.assign(seen, { streamed: [...new Set(streamed)], coming, unfinished: texts("article.draft .letter") });
    await press("It is fine as it is");
    await until("the end", () => texts("#status")[0] === "Finished" && texts("#steps .step strong").at(-1) === "final result");
    Object.assign(seen, {
      email: texts("article.email .letter"),
      yours: texts("article.yours .said"),
      questions: texts("#told dt"),
      answers: texts("#told dd"),
      drafts: texts("article.draft .letter"),
      final: texts("article.final .letter"),
      reasons: texts("#steps .reason"),
      bones: bones(),
    });
    return seen;
  }

  /** Typed, and found again when the conversation is opened again. */
  async function typedTwice(given, seen) {
    type(given);
    await until("the list of conversations", () => at("earlier").value && location.hash.endsWith(at("earlier").value));
    await another("Which email shall I answer?", () => at("earlier").dispatchEvent(new Event("change")));
    seen.typed = [...at("form").querySelectorAll("textarea")].map((each) => each.value);
  }

  /** An address that may name a conversation. */
  async function visit(address) {
    at("notice").textContent = "";
    location.hash = address;
    const names = new URLSearchParams(location.hash.slice(1)).get("id");
    const notice = names ? await until("a refusal", () => at("notice").textContent) : "";
    return { notice, bones: bones() };
  }

  window.hostile = { converse, visit, seen: () => ({ made: [...made].sort(), violations }) };
})();
