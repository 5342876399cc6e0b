"use strict";
// The figures: each is drawn by plotly, one after the other, and its points are linked.

const drawn = new Map(); // holder -> plotly's element

/** The trial behind a point of a figure; null where it stands for none. */
function trialOf(custom) {
  const trial = Array.isArray(custom) ? custom[0] : custom;
  return typeof trial === "number" ? trial : null;
}

async function draw(holder, figure) {
  const graph = holder.querySelector(".plot");
  await drawFigure(graph, figure);
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

/** Where a trial's points are in a trace, in pixels of the figure. */
function spots(graph, trace, trial) {
  const x = graph._fullLayout[`xaxis${(trace.xaxis ?? "").slice(1)}`];
  const y = graph._fullLayout[`yaxis${(trace.yaxis ?? "").slice(1)}`];
  if (!trace.customdata || trace.visible !== true || !trace.xaxis || !x || !y) return [];
  const found = [];
  const add = (across, up) => {
    const [left, top] = [x.d2p(across), y.d2p(up)];
    if (left >= 0 && left <= x._length && top >= 0 && top <= y._length) {
      found.push([x._offset + left, y._offset + top]);
    }
  };
  for (let i = 0; i < trace.customdata.length; i++) {
    if (trialOf(trace.customdata[i]) !== trial || trace.x[i] === null) continue;
    // The middle of a bar that lies on its side.
    add(trace.type === "bar" ? trace.base[i] + trace.x[i] / 2 : trace.x[i], trace.y[i]);
  }
  return found;
}

/** What marks a trial in a figure: a ring around a point, a line over a line. */
function marks(graph, trial, how) {
  return graph._fullData.flatMap((trace) => {
    const found = spots(graph, trace, trial);
    return trace.mode?.startsWith("lines") && !trace.mode.includes("markers") && found.length > 1
      ? [svg("polyline", { points: found.map((spot) => spot.join()).join(" "), class: how })]
      : found.map(([cx, cy]) => svg("circle", { cx, cy, r: 10, class: how }));
  });
}

/** Of very many networks the front's figure draws some; all have their place in it. */
function frontMarks({ _fullLayout: { xaxis, yaxis } }, trial, how) {
  const { values } = networkOf.get(trial) ?? { values: [] };
  const cx = xaxis._offset + xaxis.d2p(values[axes.x]);
  const cy = yaxis._offset + yaxis.d2p(values[axes.y]);
  return Number.isFinite(cx + cy) ? [svg("circle", { cx, cy, r: 10, class: how })] : [];
}

/** Marks what is chosen, over a figure; plotly itself needn't draw anything anew. */
function ring(holder) {
  const graph = drawn.get(holder);
  const mark = holder.id === "holder-pareto" ? frontMarks : marks;
  const rings = ["pinned", "hovered"].flatMap((how) =>
    choice[how] === null ? [] : mark(graph, choice[how], how),
  );
  holder.querySelector(".rings").replaceChildren(...rings);
}

function holderOf({ key, title, height, width }) {
  return element(
    "div",
    { class: "figure", id: `holder-${key}`, role: "group", "aria-label": title },
    element(
      "div",
      { class: "sheet", style: `height: ${height}px; min-width: ${width}px` },
      element("div", { class: "plot" }),
      svg("svg", { class: "rings", "aria-hidden": "true" }),
    ),
  );
}

// The front's figure comes as Python drew it; any objectives can be put on its axes and colours.

const axes = { x: 1, y: 0, color: columns[2]?.objective ? 2 : null };

/** The networks that are best of two objectives alone, from left to right. */
function plane() {
  const value = (network, i) => (columns[i].better === "more" ? -1 : 1) * network.values[i];
  const points = networks.filter((n) => n.place !== "infeasible");
  points.sort((a, b) => value(a, axes.x) - value(b, axes.x) || value(a, axes.y) - value(b, axes.y));
  const best = [];
  for (const network of points) {
    if (!best.length || value(network, axes.y) < value(best.at(-1), axes.y)) best.push(network);
  }
  return columns[axes.x].better === "more" ? best.reverse() : best;
}

/** The least or the greatest value of an objective among all networks. */
function end(i, choose) {
  return choose(...networks.map((network) => network.values[i]).filter(Number.isFinite));
}

/** The corner of the figure where both objectives are worst. */
function worst() {
  return [axes.x, axes.y].map((i) => end(i, columns[i].better === "more" ? Math.min : Math.max));
}

/** What a baseline is better than, in both objectives that are drawn. */
function arrangeBox(trace) {
  const { values } = networkOf.get(trace.meta.box);
  const [right, top] = worst();
  trace.x = [values[axes.x], right, right, values[axes.x]];
  trace.y = [values[axes.y], values[axes.y], top, top];
}

/** The line of the reference of the objective on one axis; nothing where there is none. */
function arrangeReference(trace) {
  const own = trace.meta.reference;
  const along = own === "x" ? "y" : "x";
  const limit = data.reference[axes[own]];
  trace[own] = limit === null ? [] : [limit, limit];
  trace[along] = limit === null ? [] : [Math.min, Math.max].map((f) => end(axes[along], f));
  trace.showlegend = limit !== null && (own === "x" || data.reference[axes.x] === null);
}

/** Puts the chosen objectives into a figure of the front. */
function arrangeFront({ data: traces, layout }) {
  for (const trace of traces) {
    delete trace.error_x; // the intervals are those of other objectives
    delete trace.error_y;
    if (trace.meta?.box !== undefined) {
      arrangeBox(trace);
      continue;
    }
    if (trace.meta?.reference !== undefined) {
      arrangeReference(trace);
      continue;
    }
    const line = !trace.customdata;
    const members = line ? plane() : trace.customdata.map((trial) => networkOf.get(trial));
    trace.x = members.map((network) => network.values[axes.x]);
    trace.y = members.map((network) => network.values[axes.y]);
    if (line) {
      trace.name = `best of ${data.scales[axes.x].name} and ${data.scales[axes.y].name}`;
      trace.line.shape = columns[axes.x].better === "more" ? "vh" : "hv";
    }
    if (trace.text) {
      trace.textposition = columns[axes.y].better === "more" ? "top center" : "bottom center";
    }
    if (trace.marker?.colorscale) {
      const { bar, log } = structuredClone(data.scales[axes.color]);
      const values = members.map((network) => network.values[axes.color]);
      trace.marker.color = log ? values.map(Math.log10) : values;
      trace.marker.colorbar = bar;
    }
  }
  // Copies: plotly writes into what it is given, such as the range that it has found.
  layout.xaxis = structuredClone(data.scales[axes.x].axis);
  layout.yaxis = structuredClone(data.scales[axes.y].axis);
}

const ROLES = { x: "across", y: "up", color: "colour" };

function menus(redraw) {
  const objectives = columns.flatMap((column, i) => (column.objective ? [[column.name, i]] : []));
  const roles = Object.keys(ROLES).filter((role) => axes[role] !== null);
  return roles.map((role) => {
    const options = objectives.map(([name, i]) =>
      element("option", { value: i, selected: i === axes[role] }, name),
    );
    const menu = element("select", { id: `axis-${role}` }, options);
    menu.addEventListener("change", () => {
      axes[role] = Number(menu.value);
      redraw();
    });
    return element("label", null, `${ROLES[role]} `, menu);
  });
}

/** Makes the place of the front's figure; the steps that draw it. */
function startFront() {
  const figure = data.figures.find((one) => one.key === "pareto");
  const place = document.getElementById("front-figure");
  if (figure.why) {
    if (!single) place.append(element("p", { class: "quiet" }, sentence(figure.why)));
    return [];
  }
  const holder = holderOf(figure);
  const show = async () => {
    const front = JSON.parse(await unpack("figure-pareto"));
    arrangeFront(front);
    await draw(holder, front);
  };
  const choices = columns.filter((column) => column.objective).length > 2 ? menus(show) : [];
  place.append(
    element("p", { class: "caption" }, figure.caption),
    element("p", { class: "menus" }, choices),
    holder,
  );
  return [show];
}

/** Makes the places of the others; the steps that draw them. */
function startFigures() {
  const rest = data.figures.filter((figure) => figure.key !== "pareto");
  const place = document.getElementById("figures");
  place.hidden = rest.length === 0;
  return rest.flatMap((figure) => {
    const { key, title, caption, why } = figure;
    const text = element("p", { class: "caption" }, why ? `Not drawn: ${why}.` : caption);
    place.append(element("h3", null, title), text);
    if (why) return [];
    const holder = holderOf(figure);
    place.append(holder);
    return [async () => draw(holder, JSON.parse(await unpack(`figure-${key}`)))];
  });
}

function followFigures() {
  for (const holder of drawn.keys()) ring(holder);
}
