// Making things to show. All text goes in as text: nothing that anybody wrote is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a child that is no element becomes text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The graph as a picture. */
export function picture(graph) {
  const drawn = shape("svg", {
    viewBox: `0 0 ${graph.width} ${graph.height}`,
    role: "img",
    "aria-labelledby": "graph-said",
    width: graph.width,
  });
  drawn.append(shape("title", { id: "graph-said" }, "The graph of the assistant"));
  const heads = shape("defs", {});
  const head = shape("marker", { id: "head", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  head.append(shape("path", { d: "M0 0 L8 4 L0 8 z", class: "head" }));
  heads.append(head);
  drawn.append(heads);
  for (const arrow of graph.arrows) {
    const line = shape("path", { d: arrow.path, class: arrow.dashed ? "arrow dashed" : "arrow", "marker-end": "url(#head)" });
    if (arrow.label) line.append(shape("title", {}, arrow.label));
    drawn.append(line);
  }
  for (const each of graph.shapes) drawn.append(box(each));
  return drawn;
}

function box(each) {
  const group = shape("g", { class: `shape ${each.kind}`, "data-key": each.key });
  const [x, y, w, h] = [each.x - each.width / 2, each.y - each.height / 2, each.width, each.height];
  if (each.kind === "choice") {
    const [left, right] = [each.x - w / 2, each.x + w / 2];
    group.append(shape("polygon", { points: `${left},${each.y} ${left + 14},${y} ${right - 14},${y} ${right},${each.y} ${right - 14},${y + h} ${left + 14},${y + h}` }));
  } else {
    group.append(shape("rect", { x, y, width: w, height: h, rx: each.kind === "end" ? h / 2 : 7 }));
  }
  group.append(shape("text", { x: each.x, y: each.y + 4, "text-anchor": "middle" }, each.label));
  return group;
}

/** Light up the action that runs or comes next, and the ones that have run. */
export function light(drawn, current, visited) {
  if (!drawn) return;
  for (const group of drawn.querySelectorAll("[data-key]")) {
    const key = group.dataset.key;
    group.classList.toggle("current", key === current);
    group.classList.toggle("visited", visited.has(key));
    if (key === current) group.setAttribute("aria-current", "step");
    else group.removeAttribute("aria-current");
  }
  const said = current ? `The graph of the assistant; it is at ${worded(current)}` : "The graph of the assistant";
  drawn.querySelector("title").textContent = said;
}

/** One step of the history, with the choices that led to it. */
export function step(told) {
  const spent = [told.usage ? cost(told.usage.cost, told.usage.input_tokens + told.usage.output_tokens) : "", seconds(told.seconds)];
  const title = element("p", { class: "step" }, element("strong", {}, worded(told.action)), element("span", { class: "spent" }, spent.filter(Boolean).join(" · ")));
  const choices = told.decisions.filter((each) => each.targets.length > 1).map(decision);
  const problem = told.problem ? element("p", { class: "problem" }, told.problem) : null;
  const again = told.attempt > 1 ? element("p", { class: "again" }, `Attempt ${told.attempt}`) : null;
  return element("li", {}, ...choices, title, again, problem);
}

/** A choice: what was chosen, by what, why, and what it cost. */
export function decision(made) {
  const others = made.targets.filter((target) => target !== made.target).map(worded).join(", ");
  const sure = made.confidence === null ? "" : ` · ${Math.round(made.confidence * 100)} % sure`;
  const spent = [cost(made.cost, made.tokens), seconds(made.seconds)].filter(Boolean).join(" · ");
  return element(
    "div",
    { class: "decision" },
    element("p", {}, "Chose ", element("strong", {}, worded(made.target)), others ? ` over ${others}` : ""),
    made.reason ? element("p", { class: "reason" }, made.reason) : null,
    element("p", { class: "spent" }, `by ${made.decided_by}${sure}${spent ? ` · ${spent}` : ""}`),
  );
}

export function worded(name) {
  if (name === "__end__") return "the end";
  return String(name).replaceAll("_", " ");
}

export function cost(dollars, tokens) {
  const price = dollars === null || dollars === undefined ? "" : `$${dollars.toFixed(5)}`;
  return [tokens ? `${tokens} tokens` : "", price].filter(Boolean).join(", ");
}

function seconds(given) {
  if (!given || given < 0.0005) return "";
  return given < 1 ? `${Math.round(given * 1000)} ms` : `${given.toFixed(1)} s`;
}
