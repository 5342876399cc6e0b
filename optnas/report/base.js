"use strict";
// The data, what is chosen, and how elements are made. Text of a study is only ever set as text.

const data = JSON.parse(document.getElementById("data").textContent);
const columns = data.networks.columns;
const networks = (data.networks.rows.trial ?? []).map((_, i) =>
  Object.fromEntries(Object.entries(data.networks.rows).map(([key, list]) => [key, list[i]])),
);
for (const network of networks) {
  // Infinite numbers come as text, which JSON can hold.
  network.values = network.values.map((value) => (value === null ? null : Number(value)));
}
// Of an architecture with several rows, a trial without one of its own has the first.
const networkOf = new Map([
  ...[...networks].reverse().flatMap((n) => n.trials.map((trial) => [trial, n])),
  ...networks.map((n) => [n.trial, n]),
]);

/** An element with attributes and children; strings become text nodes, null is left out. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null));
  return made;
}

/** Labels with texts, for a `dl`; a long text has a line of its own. */
function pairs(entries) {
  return Object.entries(entries).map(([label, value]) => {
    const text = format(value);
    const long = text.length > 100 ? "long" : null;
    return element("div", { class: long }, element("dt", null, label), element("dd", null, text));
  });
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(text, onClick, attributes) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

/** A number as people read it: whole ones whole, others to four digits. */
function format(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US");
  if (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e15) return value.toExponential(3);
  return value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const unpacked = new Map();

/** Everything that is known of a trial. */
async function detailsOf(trial) {
  const id = `trials-${Math.floor(trial / data.chunk)}`;
  if (!unpacked.has(id)) unpacked.set(id, unpack(id).then(JSON.parse));
  return (await unpacked.get(id))[trial % data.chunk];
}

// The trial under the mouse, and the one that was clicked: tables, figures and pane follow them.
const choice = { hovered: null, pinned: null };
const followers = [];

function choose(how, trial) {
  if (choice[how] === trial) return;
  choice[how] = trial;
  for (const follow of followers) follow(how);
}

const single = columns.filter((column) => column.objective).length === 1;
const PLACES = {
  front: ["●", single ? "the best" : "on the front"],
  dominated: ["○", "another one beats it"],
  infeasible: ["×", "breaks a bound"],
};

/** The sign of a network's place, as in the figure of the front. */
function sign(network) {
  const [glyph, meaning] = PLACES[network.place];
  const baseline = network.baseline !== null;
  return element(
    "span",
    { class: `sign ${baseline ? "baseline" : network.place}`, title: meaning },
    element("span", { "aria-hidden": "true" }, baseline ? "◆" : glyph),
    element("span", { class: "unseen" }, `${baseline ? "baseline, " : ""}${meaning}`),
  );
}
