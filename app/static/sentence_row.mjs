/* One sentence of the report on the screen: badge, words, warning, buttons; or the box in which it is edited. */

import { el } from "./dom.mjs";

const ORIGINS = { ai: "AI", edited: "AI edited", human: "You" };
const STATES = { unreviewed: "To review", accepted: "Accepted", rejected: "Rejected" };

/**
 * @param {object} sentence @param {{act(name, id), isReadOnly, isCurrent}} options act: "accept" | "edit" | "reject" | "restore" | "add"
 * @returns {HTMLElement} an <li>
 */
export function sentenceRow(sentence, { act, isReadOnly, isCurrent, position }) {
  const { id, text, origin, status, original, flag } = sentence;
  const item = el("li", { class: "iv-sentence", "data-id": id, "data-origin": origin, "data-status": status, "data-flagged": Boolean(flag),
    tabindex: isCurrent ? 0 : -1, "aria-label": `Sentence ${position}, ${ORIGINS[origin]}, ${STATES[status]}${flag ? `, warning: ${flag}` : ""}: ${text}` });
  item.append(
    el("div", { class: "iv-sentence-marks" }, el("span", { class: "iv-badge" }, ORIGINS[origin]), el("span", { class: "iv-state" }, STATES[status])),
    el("div", { class: "iv-sentence-body" },
      status === "rejected" ? el("s", { class: "iv-sentence-text" }, text) : el("p", { class: "iv-sentence-text" }, text),
      original !== null ? el("p", { class: "iv-original" }, `AI wrote: ${original}`) : null,
      flag ? el("p", { class: "iv-flag" }, `Check: ${flag}`) : null));
  if (!isReadOnly) item.append(buttons(sentence, act));
  return item;
}

function buttons({ id, status }, act) {
  const button = (name, words, key) => el("button", { type: "button", class: "iv-button", tabindex: -1, "data-action": name, title: `${words} (${key})`, onclick: () => act(name, id) }, words);
  const nodes = status === "rejected"
    ? [button("restore", "Restore", "R")]
    : [status === "unreviewed" ? button("accept", "Accept", "A") : null, button("edit", "Edit", "E"), button("reject", "Reject", "R")];
  return el("div", { class: "iv-sentence-buttons" }, ...nodes, button("add", "Add below", "+"));
}

/** The box for inline editing. done(text) keeps, done(null) discards. */
export function editRow(sentence, { done, draft }) {
  const box = el("textarea", { class: "iv-edit", rows: 2, "aria-label": "Edit the sentence. Enter keeps, Escape discards." });
  box.value = draft ?? sentence.text;
  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
  };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    done(event.key === "Enter" ? box.value : null);
  });
  const row = el("li", { class: "iv-sentence iv-sentence--editing", "data-id": sentence.id, "data-origin": sentence.origin, "data-status": sentence.status },
    box, el("div", { class: "iv-sentence-buttons" },
      el("button", { type: "button", class: "iv-button", "data-action": "keep", title: "Keep (Enter)", onclick: () => done(box.value) }, "Keep"),
      el("button", { type: "button", class: "iv-button", "data-action": "discard", title: "Discard (Escape)", onclick: () => done(null) }, "Discard")));
  return { row, box, grow };
}
