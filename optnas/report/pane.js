"use strict";
// The pane: everything about the network under the mouse, or the one that was clicked.

const pane = document.getElementById("pane");

function section(title, ...content) {
  return content.length ? [element("h3", null, title), ...content] : [];
}

function list(entries) {
  const items = pairs(entries);
  return items.length ? [element("dl", { class: "pairs" }, items)] : [];
}

/** The drawing of a trial, or of the trial that stands for its architecture. */
async function drawing(trial, detail) {
  const standing = networkOf.get(trial)?.trial ?? trial;
  const drawn = detail.drawing ?? (await detailsOf(standing)).drawing;
  if (!drawn) {
    return data.undrawn
      ? [element("p", { class: "quiet" }, `There is none: ${data.undrawn}.`)]
      : [];
  }
  const source = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawn)}`;
  return [element("img", { class: "drawing", src: source, alt: `Drawing of ${detail.name}` })];
}

function numbers(detail) {
  const items = (detail.numbers ?? []).map(([name, value, how]) =>
    element(
      "div",
      null,
      element("dt", null, name),
      element("dd", null, format(value)),
      how ? element("dd", { class: "how" }, how) : null,
    ),
  );
  return items.length ? [element("dl", { class: "numbers" }, items)] : [];
}

const [WIDTH, HEIGHT, EDGE] = [300, 90, 6];
const LARGEST = 1e300; // as in the figures

/** A small curve of one score: its first, last and extreme values tell the scale. */
function curve(name, steps, values) {
  const known = values.flatMap((v, i) => (Math.abs(v) <= LARGEST ? [[steps?.[i] ?? i, v]] : []));
  if (known.length < 2) return [];
  const [xs, ys] = [known.map((p) => p[0]), known.map((p) => p[1])];
  const [left, right, low, high] = [xs[0], xs.at(-1), Math.min(...ys), Math.max(...ys)];
  const x = (v) => EDGE + ((v - left) / (right - left || 1)) * (WIDTH - 2 * EDGE);
  const y = (v) => HEIGHT - EDGE - ((v - low) / (high - low || 1)) * (HEIGHT - 2 * EDGE);
  const line = known.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
  const last = ys.at(-1);
  const text = `${name} from ${format(ys[0])} to ${format(last)}, between ${format(low)} and ${format(high)}`;
  return [
    element(
      "figure",
      { class: "curve" },
      svg(
        "svg",
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text },
        svg("polyline", { points: line }),
        svg("circle", { cx: x(right), cy: y(last), r: 3.5 }),
      ),
      element(
        "figcaption",
        null,
        `${name}: ${format(ys[0])} → ${format(last)} in ${known.length} steps`,
      ),
    ),
  ];
}

function curves(detail) {
  const { step: steps, ...scores } = detail.curve ?? {};
  return Object.entries(scores).flatMap(([name, values]) => curve(name, steps, values));
}

function heading(trial, detail) {
  const network = networkOf.get(trial);
  const close = button("×", () => choose("pinned", null), {
    class: "close",
    "aria-label": "close",
  });
  const title = network?.baseline ? `${network.baseline} (trial ${trial})` : `Trial ${trial}`;
  const place = network ? PLACES[network.place][1] : detail.state;
  return [
    element("header", null, element("h2", { id: "pane-title" }, title), close),
    element("p", { class: "place" }, network ? sign(network) : null, ` ${place}`),
    ...(detail.ending ? [element("p", { class: "note" }, detail.ending)] : []),
  ];
}

function siblings(trial) {
  const rest = (networkOf.get(trial)?.trials ?? []).filter((other) => other !== trial).slice(0, 30);
  const links = rest.map((other) => button(String(other), () => choose("pinned", other)));
  return links.length ? section("The same architecture in trials", element("p", null, links)) : [];
}

async function followPane() {
  const trial = choice.hovered ?? choice.pinned;
  pane.classList.toggle("open", choice.pinned !== null);
  const pinned = choice.pinned === null ? "" : `Trial ${choice.pinned} is shown next to the table.`;
  document.getElementById("said").textContent = pinned;
  if (trial === null) {
    pane.replaceChildren(
      element("h2", { id: "pane-title" }, "One network"),
      element("p", null, "Move over a point or a row to see its network here; click to keep it."),
    );
    return;
  }
  const detail = await detailsOf(trial);
  const picture = await drawing(trial, detail);
  if (trial !== (choice.hovered ?? choice.pinned)) return; // another one was chosen meanwhile
  pane.replaceChildren(
    ...heading(trial, detail),
    element("p", null, element("code", null, detail.name)),
    ...section("Numbers", ...numbers(detail)),
    ...section("Drawing", ...picture),
    ...section("Learning curve", ...curves(detail)),
    ...siblings(trial),
    ...section("Training and time", ...list(detail.facts ?? {})),
    ...section("Decisions", ...list(detail.decisions ?? {})),
  );
}

function startPane() {
  followers.push(followPane);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose("pinned", null);
  });
  // Where there is room for the pane, it shows how much can be seen of a network.
  const wide = window.matchMedia("(min-width: 75rem)").matches;
  if (wide && networks.length) choose("pinned", shown.rows[0].trial);
  else followPane();
}
