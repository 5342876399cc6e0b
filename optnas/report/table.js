"use strict";
// The table of networks: sorted, in pages, linked with the figures.

const PAGE = 100;
const shown = { view: "front", sort: 0, descending: false, page: 0, rows: [], size: PAGE };
const recipes = networks.some((network) => network.recipe);
const confirmed = networks.some((network) => network.again);

// Each column: its title, what it sorts by, and its cell.
const fields = [
  ...columns.map((column, i) => ({
    title: column.name,
    hint: [column.meaning, column.better && `${column.better} is better`]
      .filter(Boolean)
      .join("; "),
    numeric: true,
    descending: column.better === "more",
    key: (network) => network.values[i],
    cell: (network) => [format(network.values[i]), error(network, i), fresh(network, i)],
    best: (network) => network.values[i] === best[i] && network.place === "front",
  })),
  ...(confirmed
    ? [{ title: "fresh seeds", key: (n) => n.again?.verdict ?? null, cell: verdict, narrow: true }]
    : []),
  {
    title: "architecture",
    key: (network) => network.baseline ?? network.architecture,
    cell: (network) =>
      network.baseline === null
        ? element("code", { title: network.architecture }, network.architecture)
        : [element("strong", null, network.baseline), beaten(network)],
  },
  ...(recipes ? [{ title: "training", key: (n) => n.recipe, cell: (n) => n.recipe }] : []),
];
fields.unshift({
  title: "trial",
  numeric: true,
  key: (network) => network.trial,
  cell: (network) => [
    sign(network),
    button(String(network.trial), () => choose("pinned", network.trial), { class: "trial" }),
    others(network),
  ],
});

const best = columns.map((column, i) => {
  const values = networks.filter((n) => n.place === "front").map((n) => n.values[i] ?? NaN);
  if (!column.objective || values.length < 2) return null;
  return values.reduce((a, b) => ((column.better === "more" ? b > a : b < a) ? b : a));
});

/** How far the 95 % interval of a measurement reaches, where that is worth showing. */
function error(network, i) {
  const text = network.errors[i];
  return text ? element("small", { title: "95 % interval" }, ` ${text}`) : null;
}

/** Mean and deviation of an objective over fresh seeds. */
function fresh(network, i) {
  const spread = network.again?.spreads[i];
  return spread ? element("small", { title: "mean ± deviation with fresh seeds" }, spread) : null;
}

function verdict({ again }) {
  if (!again) return null;
  return again.by === null ? again.verdict : `${again.verdict} (trial ${again.by})`;
}

function others(network) {
  const rest = network.trials.filter((trial) => trial !== network.trial);
  if (!rest.length) return null;
  const more = rest.length > 4 ? ` and ${rest.length - 4} more` : "";
  return element("small", null, ` also ${rest.slice(0, 4).join(", ")}${more}`);
}

function beaten(network) {
  if (network.place === "front") return " (baseline, on the front)";
  const by = network.dominated_by;
  return by.length ? ` (baseline, dominated by ${listed(by)})` : " (baseline)";
}

function listed(trials) {
  const more = trials.length > 5 ? ` and ${trials.length - 5} more` : "";
  return `trial${trials.length > 1 ? "s" : ""} ${trials.slice(0, 5).join(", ")}${more}`;
}

const kind = (field) => (field.numeric ? "number" : field.narrow ? "word" : "text");

function arrange() {
  const field = fields[shown.sort];
  const way = shown.descending ? -1 : 1;
  const inFront = (network) => network.place === "front" || network.baseline !== null;
  shown.rows = (shown.view === "front" ? networks.filter(inFront) : [...networks]).sort((a, b) => {
    const [x, y] = [field.key(a), field.key(b)];
    const [noX, noY] = [x === null || Number.isNaN(x), y === null || Number.isNaN(y)];
    if (noX || noY) return noX - noY; // what is missing comes last, whichever way
    return way * (x < y ? -1 : x > y ? 1 : 0) || a.trial - b.trial;
  });
  shown.page = Math.min(shown.page, Math.max(Math.ceil(shown.rows.length / shown.size) - 1, 0));
}

function sortBy(i) {
  shown.descending = shown.sort === i ? !shown.descending : Boolean(fields[i].descending);
  shown.sort = i;
  shown.page = 0;
  arrange();
  showTable();
}

const table = document.getElementById("networks");
const rowOf = new Map();

function makeHead() {
  const heads = fields.map((field, i) =>
    element(
      "th",
      { scope: "col", class: kind(field), title: field.hint || null },
      button(field.title, () => sortBy(i)),
    ),
  );
  table.tHead.replaceChildren(element("tr", null, heads));
}

function showTable() {
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const order = shown.descending ? "descending" : "ascending";
    head.setAttribute("aria-sort", i === shown.sort ? order : "none");
  });
  const start = shown.page * shown.size;
  const rows = shown.rows.slice(start, start + shown.size);
  rowOf.clear();
  table.tBodies[0].replaceChildren(...rows.map(makeRow));
  mark();
  showViews();
  showPages(start, rows.length);
}

function makeRow(network) {
  const row = element(
    "tr",
    { "data-trial": network.trial },
    fields.map((field) =>
      element(
        "td",
        { class: `${kind(field)}${field.best?.(network) ? " best" : ""}` },
        field.cell(network),
      ),
    ),
  );
  row.addEventListener("mouseenter", () => choose("hovered", network.trial));
  row.addEventListener("click", () => choose("pinned", network.trial));
  rowOf.set(network, row);
  return row;
}

const VIEWS = { front: "The front", all: "All networks" };

function showViews() {
  const counts = {
    front: networks.filter((n) => n.place === "front").length,
    all: networks.length,
  };
  document.getElementById("views").replaceChildren(
    ...Object.entries(single || !networks.length ? {} : VIEWS).map(([view, text]) =>
      button(
        `${text} (${format(counts[view])})`,
        () => {
          Object.assign(shown, { view, page: 0 });
          arrange();
          showTable();
        },
        { "aria-pressed": String(shown.view === view) },
      ),
    ),
  );
}

function showPages(start, count) {
  const turn = (by) => () => {
    shown.page += by;
    showTable();
    document.getElementById("scroll").scrollTop = 0;
  };
  const total = shown.rows.length;
  document
    .getElementById("pages")
    .replaceChildren(
      ...(total <= shown.size
        ? []
        : [
            button("‹", turn(-1), { "aria-label": "previous page", disabled: start === 0 }),
            ` ${format(start + 1)}–${format(start + count)} of ${format(total)} `,
            button("›", turn(1), { "aria-label": "next page", disabled: start + count >= total }),
          ]),
    );
}

/** Marks the chosen rows. */
function mark() {
  for (const [how, name] of [
    ["hovered", "hovered"],
    ["pinned", "pinned"],
  ]) {
    table.querySelector(`tr.${name}`)?.classList.remove(name);
    rowOf.get(networkOf.get(choice[how]))?.classList.add(name);
  }
  table.querySelector("[aria-current]")?.removeAttribute("aria-current");
  table.querySelector("tr.pinned")?.setAttribute("aria-current", "true");
}

/** Brings the chosen row into the table's window, without moving the page. */
function followTable(how) {
  const network = networkOf.get(choice[how]);
  if (network && how === "pinned" && !rowOf.has(network)) {
    if (!shown.rows.includes(network)) shown.view = "all";
    arrange();
    shown.page = Math.floor(shown.rows.indexOf(network) / shown.size);
    showTable();
  }
  mark();
  const row = rowOf.get(network);
  if (!row || row.matches(":hover")) return;
  const box = document.getElementById("scroll");
  const head = table.tHead.offsetHeight;
  if (row.offsetTop - head < box.scrollTop) box.scrollTop = row.offsetTop - head;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (below > box.scrollTop) box.scrollTop = below;
}

/** Arrow keys go from row to row. */
function step(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest("tbody tr");
  if (!by || !row) return;
  event.preventDefault();
  const next = by > 0 ? row.nextElementSibling : row.previousElementSibling;
  next?.querySelector("button.trial").focus();
  if (next) choose("hovered", Number(next.dataset.trial));
}

function startTable() {
  shown.view = single || !networks.some((n) => n.place === "front") ? "all" : "front";
  shown.sort = 1;
  shown.descending = columns[0].better === "more";
  const legend = Object.values(PLACES).map(([glyph, meaning]) => `${glyph} ${meaning}`);
  const several = new Set(networks.map((network) => network.trials[0])).size < networks.length;
  const noisy = networks.some((network) => network.errors.some(Boolean))
    ? " ±: the 95 % interval of a measurement."
    : "";
  const small = confirmed ? " In small print: mean ± standard deviation over fresh seeds." : "";
  document.getElementById("legend").textContent = networks.length
    ? `One row for each architecture${several ? ", and for each of its trials on the front" : ""}. ${legend.join(", ")}, ◆ baseline. Bold: the best of its column.${noisy}${small}`
    : "No network is finished yet.";
  document.getElementById("scroll").hidden = networks.length === 0;
  makeHead();
  arrange();
  showTable();
  table.addEventListener("keydown", step);
  table.tBodies[0].addEventListener("mouseleave", () => choose("hovered", null));
  followers.push(followTable);
  // On paper nothing can be turned over: as much as is sensible stands there at once.
  const resize = (size) => () => {
    Object.assign(shown, { size, page: 0 });
    showTable();
  };
  window.addEventListener("beforeprint", resize(500));
  window.addEventListener("afterprint", resize(PAGE));
}
