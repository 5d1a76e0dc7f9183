/* What is known of the chosen model, under its choice: demonstration, promotion, its few scores beside those of its base, and
 * the rest on demand. Texts are only set as text. */

import { el } from "./dom.mjs";

export function mountModelCard(element) {
  const box = el("div", { class: "ivp-model", "aria-live": "polite" });
  element.replaceChildren(box);
  return Object.freeze({
    /** view: {mark, promoted, certificate, evaluation, base, few, rest, notes}, or null for a model of which nothing is known. */
    update(view) {
      box.hidden = !view;
      box.replaceChildren(...(view ? parts(view) : []));
    },
  });
}

function parts({ mark, promoted, certificate, evaluation, base, few, rest, notes }) {
  const said = [promoted && `${promoted}.`, certificate].filter(Boolean).join(" ");
  const lines = [el("p", {}, mark ? el("span", { class: "ivp-demo" }, mark) : null, said)];
  lines.push(evaluation && el("p", { class: few.length ? null : "ivp-model-lacks" }, evaluation));
  if (few.length) lines.push(table(few, base));
  if (rest.length || notes.length) {
    lines.push(el("details", {}, el("summary", {}, rest.length ? `The other scores (${rest.length})` : "More"),
      rest.length ? table(rest, base) : null, ...notes.map((note) => el("p", {}, note))));
  }
  return lines.filter(Boolean);
}

function table(scores, base) {
  const head = el("tr", {}, ...["Score", "This model", ...(base ? [base, "Difference"] : [])].map((name) => el("th", { scope: "col" }, name)));
  const rows = scores.map((score) => el("tr", {}, el("th", { scope: "row" }, score.title), figure(score.value, score.interval),
    ...(base ? [figure(score.base || "n/a", score.base_interval), el("td", { class: `ivp-model-${score.verdict.split(" ")[0] || "none"}` }, score.verdict)] : [])));
  return el("div", { class: "ivp-model-table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

function figure(value, interval) {
  return el("td", {}, value, interval ? el("small", {}, interval) : null);
}
