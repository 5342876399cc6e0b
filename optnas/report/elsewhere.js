"use strict";
// The networks on other devices: for each one its finding, both fronts, and who changed rank.

function deviceRow(row) {
  const pin = () => choose("pinned", row.trial);
  const dominated = row.by === null ? "–" : `dominated by ${row.by}`;
  const cells = [
    element("td", null, button(String(row.trial), pin, { class: "trial" })),
    element("td", { class: "number" }, format(row.here)),
    element("td", { class: "number" }, row.there),
    ...row.ranks.map((rank) => element("td", { class: "number" }, rank)),
    element("td", null, row.changed),
    element("td", null, row.front_here ? "yes" : "–"),
    element("td", null, row.front_there ? "yes" : dominated),
    element("td", { class: "reason" }, row.architecture),
  ];
  const made = element("tr", null, cells);
  made.addEventListener("mouseenter", () => choose("hovered", row.trial));
  made.addEventListener("mouseleave", () => choose("hovered", null));
  return made;
}

function deviceTable({ here, there, rows }) {
  const ranks = ["rank here", "rank there", "changed rank", "front here", "front there"];
  const head = ["trial", `${here} here`, `${there} there`, ...ranks, "architecture"];
  const titles = head.map((title) => element("th", { scope: "col" }, title));
  return element(
    "table",
    { class: "devices" },
    element("thead", null, element("tr", null, titles)),
    element("tbody", null, rows.map(deviceRow)),
  );
}

/** Makes the parts of all devices; the steps that draw their figures. */
function startElsewhere() {
  const place = document.getElementById("elsewhere");
  place.hidden = data.elsewhere.length === 0;
  return data.elsewhere.flatMap((device) => {
    const { figure, failed, model, how } = device;
    place.append(
      element("h3", null, device.label),
      element("p", null, device.text),
      element("p", { class: "caption" }, figure.why ? `Not drawn: ${figure.why}.` : figure.caption),
    );
    const holder = figure.why ? null : holderOf(figure);
    if (holder) place.append(holder);
    if (device.rows.length) place.append(element("div", { class: "wide" }, deviceTable(device)));
    if (model) place.append(element("p", { class: "caption" }, `Predicted by a ${model}.`));
    place.append(
      ...failed.map((line) => element("p", { class: "note" }, `Not measured there: ${line}`)),
      element("dl", { class: "pairs" }, pairs(how)),
    );
    if (!holder) return [];
    return [async () => draw(holder, JSON.parse(await unpack(`figure-${figure.key}`)))];
  });
}
