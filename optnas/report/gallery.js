"use strict";
// The front's networks side by side, in one scale: what do they have in common?

const MOST = 60;

/** Architectures of the front, the best in the first objective first. */
function architectures() {
  const sorted = networks
    .filter((network) => network.place === "front")
    .sort((a, b) => (columns[0].better === "more" ? -1 : 1) * (a.values[0] - b.values[0]));
  const known = new Set();
  return sorted.filter(({ trials: [first] }) => !known.has(first) && known.add(first));
}

/** Of these some, evenly thinned out. */
function members(sorted) {
  if (sorted.length <= MOST) return sorted;
  const step = (sorted.length - 1) / (MOST - 1);
  return Array.from({ length: MOST }, (_, i) => sorted[Math.round(i * step)]);
}

async function hang(place, network) {
  const picture = await drawing(network.trial, await detailsOf(network.trial));
  if (!picture.length) return place.remove();
  place.prepend(...picture);
  await place.querySelector("img")?.decode();
}

/** Makes the places of the drawings; the steps that hang them. */
function startGallery() {
  const sorted = architectures();
  const chosen = data.undrawn ? [] : members(sorted);
  if (chosen.length < 2) return [];
  const all = sorted.length;
  const some = chosen.length < all ? ` ${chosen.length} of ${all} members, evenly spread.` : "";
  const gallery = document.getElementById("gallery");
  const steps = chosen.map((network) => {
    const value = `${columns[0].name} ${format(network.values[0])}`;
    const label = `${network.baseline ?? `trial ${network.trial}`}: ${value}`;
    const caption = button(label, () => choose("pinned", network.trial), { class: "trial" });
    const place = element("figure", null, element("figcaption", null, caption));
    gallery.append(place);
    return () => hang(place, network);
  });
  document.getElementById("gallery-caption").textContent =
    `From the best ${columns[0].name} to the worst: blocks in the order of their calls, with their ` +
    `shares of the MACs (dark bars) and of the parameters (grey ones).${some}`;
  document.getElementById("drawings").hidden = false;
  return steps;
}
