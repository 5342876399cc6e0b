"use strict";
// The page from top to bottom: first what is read, then the figures and drawings.

const byId = (id) => document.getElementById(id);
const words = (text) => element("p", null, text);

function showHead() {
  byId("title").textContent = data.title;
  if (single) byId("front-title").textContent = "The best";
  byId("summary").textContent = data.summary;
  byId("notes").append(...data.notes.map((note) => element("p", { class: "note" }, note)));
  byId("goals").append(
    ...data.goals.map((goal) =>
      element(
        "li",
        null,
        element(
          "span",
          null,
          element("strong", null, goal.name),
          element(
            "span",
            { class: "better" },
            goal.better === "less" ? "↓ less is better" : "↑ more is better",
          ),
        ),
        goal.meaning ? element("span", { class: "meaning" }, goal.meaning) : null,
        goal.best === null
          ? null
          : element(
              "span",
              { class: "range" },
              element("b", null, format(goal.best)),
              goal.best === goal.worst ? null : ` … ${format(goal.worst)} on the front`,
            ),
      ),
    ),
  );
  byId("facts").append(...pairs(data.facts));
}

function showBaselines() {
  const lines = data.baselines;
  byId("baselines").textContent = lines.length ? `Baselines: ${lines.join(" ")}` : "";
}

function showMeasured() {
  const known = data.measurings.filter(
    (m) => m.definition || m.remarks.length || Object.keys(m.settings).length,
  );
  const rest = data.measurings.filter((one) => !known.includes(one)).map((one) => one.name);
  byId("measured").append(
    ...known.map((one) =>
      element(
        "div",
        { class: "metric" },
        element("h3", null, one.name),
        one.definition ? words(one.definition) : null,
        element("dl", { class: "pairs" }, pairs(one.settings)),
        one.remarks.length
          ? element(
              "ul",
              null,
              one.remarks.map((r) => element("li", null, r)),
            )
          : null,
      ),
    ),
    ...(rest.length
      ? [words(`Nothing is kept about how these were found out: ${rest.join(", ")}.`)]
      : []),
  );
}

function showFailed() {
  const head = ["what became of it", "why", "trials", "their numbers"];
  const rows = data.endings.map((ending) =>
    element(
      "tr",
      null,
      element("td", null, ending.kind),
      element("td", { class: "reason" }, ending.reason),
      element("td", { class: "number" }, format(ending.times)),
      element("td", null, ending.trials),
    ),
  );
  const table = element(
    "table",
    null,
    element(
      "thead",
      null,
      element(
        "tr",
        null,
        head.map((h) => element("th", { scope: "col" }, h)),
      ),
    ),
    element("tbody", null, rows),
  );
  const failed =
    data.failed === 1
      ? "1 trial failed."
      : `${data.failed ? format(data.failed) : "No"} trials failed.`;
  byId("failed").append(
    words(failed),
    ...(rows.length ? [element("div", { class: "wide" }, table)] : []),
  );
}

function showAgain() {
  const { facts, commands, overrides, accepted, fingerprint, versions } = data.reproducing;
  const listOf = (title, entries) =>
    Object.keys(entries).length
      ? [element("h3", null, title), element("dl", { class: "pairs" }, pairs(entries))]
      : [];
  byId("again").append(
    ...accepted.map((change) => element("p", { class: "note" }, `Mixed settings: ${change}`)),
    element("dl", { class: "pairs" }, pairs(facts)),
    ...commands.map(({ does, line }) =>
      element(
        "div",
        { class: "command" },
        element("p", null, does),
        element("pre", null, element("code", null, line)),
      ),
    ),
    ...listOf("Settings given in addition to the study file", overrides),
    ...listOf("Versions of what made this page", versions),
    ...listOf("What must be the same for numbers to be comparable", fingerprint),
  );
  byId("made").textContent =
    `Made ${data.made} with optnas ${versions.optnas}, from an Optuna study.`;
}

if (!window.DecompressionStream) {
  byId("notes").append(
    element("p", { class: "note" }, "Figures and details need a browser of 2023 or later."),
  );
}
showHead();
startTable();
showBaselines();
showMeasured();
showFailed();
showAgain();
startPane();
followers.push(followFigures);
whileLoading(() => [...startFront(), ...startGallery(), ...startElsewhere(), ...startFigures()]);
