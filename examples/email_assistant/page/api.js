// What the page says to the server: requests that count once, and the stream of what happens.

const KEY = "email-assistant-token";
let token = localStorage.getItem(KEY) || "";

/** An answer of the server that is no success. */
export class Refusal extends Error {
  constructor(status, said) {
    super(said.message || `The server answered ${status}.`);
    this.status = status;
    this.said = said;
  }
}

export function unlock(given) {
  token = given.trim();
  localStorage.setItem(KEY, token);
}

function headers(more) {
  return { Authorization: `Bearer ${token}`, ...more };
}

async function answered(response) {
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, said);
  return said;
}

export async function get(path) {
  return answered(await fetch(path, { headers: headers() }));
}

/** Send a change. Sent again after the connection broke, it counts once: it bears the same key. */
export async function send(method, path, body, sequence, lost) {
  const sent = { "Idempotency-Key": crypto.randomUUID() };
  if (body !== null) sent["Content-Type"] = "application/json";
  if (sequence !== null) sent["If-Match"] = `"${sequence}"`;
  for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
    try {
      const said = body === null ? undefined : JSON.stringify(body);
      return await answered(await fetch(path, { method, headers: headers(sent), body: said }));
    } catch (problem) {
      const inHand = problem instanceof Refusal && problem.said.error === "in_progress";
      if (problem instanceof Refusal && !inHand) throw problem;
      if (!inHand) lost();
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}

/** Tell `on(kind, facts)` what happens to a conversation, until `signal` says to stop. */
export async function follow(path, on, lost, signal) {
  for (let pause = 300; !signal.aborted; pause = Math.min(pause * 2, 5000)) {
    try {
      const response = await fetch(path, { headers: headers({ Accept: "text/event-stream" }), signal });
      if (!response.ok) throw new Refusal(response.status, await response.json().catch(() => ({})));
      pause = 300;
      await each(response.body, on, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem instanceof Refusal && problem.status < 500) throw problem;
      lost();
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function each(body, on, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done || signal.aborted) return; // what was under way when it was told to stop is not told
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const kind = /^event: (.+)$/m.exec(block);
      const facts = /^data: (.+)$/m.exec(block);
      if (kind && facts) on(kind[1], JSON.parse(facts[1]));
    }
  }
}
