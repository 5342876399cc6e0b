"use strict";
// What is packed at the end of a page, and the drawing of figures. The page about a study and the
// page of a single figure both have it.

/** When the whole page is there: what is packed stands at its end. */
const whole = new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));

/** What is packed under an id of this page. */
async function unpack(id) {
  await whole;
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const pause = () => new Promise((resolve) => setTimeout(resolve));

let loading = null;

/** Plotly, unpacked when the first figure needs it. */
function plotly() {
  loading ??= unpack("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    // That took a second: a click in the meantime goes first.
    return pause().then(() => window.Plotly);
  });
  return loading;
}

/**
 * Takes steps one after the other, with room for clicks in between. Until the last one the page
 * isn't loaded: its load event waits for a frame whose document is open. So a page that has loaded
 * prints whole.
 */
async function whileLoading(steps) {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  document.body.append(frame);
  frame.contentDocument.open();
  await whole;
  for (const step of steps()) {
    await pause();
    await step().catch(console.error);
  }
  frame.contentDocument.close();
  frame.remove();
}

const CONFIG = { responsive: true, displaylogo: false };
const PAPER = 680; // the width of a printed page between its margins, in pixels

/** Draws a figure, as wide as its place; on paper, as wide as that. */
async function drawFigure(graph, { data, layout }) {
  const { newPlot, relayout } = await plotly();
  const first = !graph.classList.contains("js-plotly-plot");
  await newPlot(graph, data, layout, CONFIG);
  if (!first) return;
  const sheet = graph.parentElement;
  window.addEventListener("beforeprint", () => {
    const width = Math.max(PAPER, parseInt(sheet.style.minWidth, 10) || 0);
    sheet.style.zoom = PAPER / width;
    relayout(graph, { width, height: sheet.clientHeight });
  });
  window.addEventListener("afterprint", () => {
    sheet.style.zoom = "";
    relayout(graph, { width: null, height: null, autosize: true });
  });
}
