"use strict";
// The figures: each is drawn by plotly when it is scrolled to, and its points are linked.

let loading = null;

/** Plotly, unpacked when the first figure needs it; the table is there before. */
function plotly() {
  loading ??= unpack("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    return window.Plotly;
  });
  return loading;
}

const CONFIG = { responsive: true, displaylogo: false };
const drawn = new Map(); // holder -> plotly's element

/** The trial behind a point of a figure; null where it stands for none. */
function trialOf(custom) {
  const trial = Array.isArray(custom) ? custom[0] : custom;
  return typeof trial === "number" ? trial : null;
}

async function draw(holder, figure) {
  const { newPlot } = await plotly();
  const graph = holder.querySelector(".plot");
  await newPlot(graph, figure.data, figure.layout, CONFIG);
  holder.classList.add("drawn");
  if (drawn.has(holder)) return;
  drawn.set(holder, graph);
  graph.on("plotly_hover", (e) => choose("hovered", trialOf(e.points[0].customdata)));
  graph.on("plotly_unhover", () => choose("hovered", null));
  graph.on("plotly_click", (e) => choose("pinned", trialOf(e.points[0].customdata)));
  graph.on("plotly_afterplot", () => ring(holder));
  graph.on("plotly_relayouting", () => ring(holder));
  ring(holder);
}

/** Where a trial's points are, in pixels of the figure. */
function spots(graph, trial) {
  const found = [];
  for (const trace of graph._fullData) {
    const x = graph._fullLayout[`xaxis${(trace.xaxis ?? "").slice(1)}`];
    const y = graph._fullLayout[`yaxis${(trace.yaxis ?? "").slice(1)}`];
    if (!trace.customdata || trace.visible !== true || !trace.xaxis || !x || !y) continue;
    for (let i = 0; i < trace.customdata.length; i++) {
      if (trialOf(trace.customdata[i]) !== trial) continue;
      const [left, top] = [x.d2p(trace.x[i]), y.d2p(trace.y[i])];
      if (left >= 0 && left <= x._length && top >= 0 && top <= y._length) {
        found.push([x._offset + left, y._offset + top]);
      }
    }
  }
  return found;
}

/** Rings around the points of what is chosen; plotly itself needn't draw anything anew. */
function ring(holder) {
  const graph = drawn.get(holder);
  const rings = ["pinned", "hovered"].flatMap((how) =>
    choice[how] === null
      ? []
      : spots(graph, choice[how]).map(([cx, cy]) => svg("circle", { cx, cy, r: 10, class: how })),
  );
  holder.querySelector(".rings").replaceChildren(...rings);
}

function holderOf(key, height) {
  return element(
    "div",
    { class: "figure", id: `holder-${key}`, style: `height: ${height}px` },
    element("div", { class: "plot" }),
    svg("svg", { class: "rings", "aria-hidden": "true" }),
  );
}

// The front: any two objectives, and a third as colour.

const objectives = columns.flatMap((column, i) => (column.objective ? [i] : []));

function startFront() {
  const figure = data.figures.find((one) => one.key === "pareto");
  const place = document.getElementById("front-figure");
  if (figure.why) {
    place.append(element("p", { class: "quiet" }, `${figure.why[0].toUpperCase()}${figure.why.slice(1)}.`));
    return;
  }
  const holder = holderOf("pareto", 480);
  place.append(holder);
  whenSeen(holder, async () => draw(holder, JSON.parse(await unpack("figure-pareto"))));
}

// The others.

function startFigures() {
  const rest = data.figures.filter((figure) => figure.key !== "pareto");
  const place = document.getElementById("figures");
  place.hidden = rest.length === 0;
  for (const { key, title, caption, why } of rest) {
    const holder = why ? element("p", { class: "quiet" }, `${why}.`) : holderOf(key, 480);
    place.append(element("h3", null, title), element("p", { class: "caption" }, caption), holder);
    if (!why) whenSeen(holder, async () => draw(holder, JSON.parse(await unpack(`figure-${key}`))));
  }
}

/** Calls once, when an element comes near the window. */
function whenSeen(target, call) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      call();
    },
    { rootMargin: "300px" },
  );
  observer.observe(target);
}

function followFigures() {
  for (const holder of drawn.keys()) ring(holder);
}
