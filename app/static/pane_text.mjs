/* The words on one pane: the label bar (PRIOR or CURRENT, always there) and the corner texts. DOM only, told what to say. */

import { el, setText } from "./dom.mjs";
import { ageWords, edgeLetters, whenWords, whoWords, zoomWords } from "./words.mjs";

const TITLES = { prior: "PRIOR", current: "CURRENT" };

export class PaneText {
  constructor(role) {
    this.role = role;
    this.title = el("span", { class: "iv-label-title" }, TITLES[role]);
    this.date = el("span", { class: "iv-label-date" });
    this.age = el("span", { class: "iv-label-age" });
    this.who = corner("who");
    this.when = corner("when");
    this.notes = corner("notes");
    this.window = corner("window");
    this.zoom = corner("zoom");
    this.edges = Object.fromEntries(["left", "right", "top", "bottom"].map((edge) => [edge, el("span", { class: "iv-edge", "data-edge": edge })]));
    this.message = el("p", { class: "iv-message", role: "status" });
    this.element = el("section", { class: "iv-pane", "data-role": role, "aria-label": `${TITLES[role]} image` },
      el("header", { class: "iv-label" }, this.title, this.date, this.age),
      el("div", { class: "iv-corners iv-corners--top" }, this.who, this.when),
      el("div", { class: "iv-edges" }, ...Object.values(this.edges)),
      this.message,
      el("div", { class: "iv-corners iv-corners--bottom" }, el("div", { class: "iv-stack" }, this.notes, this.window), this.zoom));
  }

  /** @param {{left: number, width: number}} box css pixels @param {boolean} visible */
  place(box, visible) {
    this.element.hidden = !visible;
    this.element.style.left = `${box.left}px`;
    this.element.style.width = `${box.width}px`;
  }

  /** What the file says. meta null clears everything; other is the meta of the image beside it. */
  describe(meta, other) {
    const lines = (node, words) => node.replaceChildren(...words.map((line) => el("div", {}, line)));
    lines(this.who, meta ? whoWords(meta) : []);
    lines(this.when, meta ? whenWords(meta) : []);
    lines(this.notes, meta?.notes ?? []);
    const letters = edgeLetters(meta?.orientation);
    for (const [edge, node] of Object.entries(this.edges)) setText(node, letters[edge] ?? "");
    this.when.classList.toggle("iv-doubtful", Boolean(meta) && (meta.date_reliable === false || !meta.acquired));
    const age = meta && other && this.role === "prior" ? ageWords(meta, other) : { text: "", wrong: false };
    setText(this.date, meta?.acquired?.slice(0, 10) ?? "");
    setText(this.age, age.text);
    this.age.classList.toggle("iv-wrong", age.wrong);
  }

  /** What the reader did: changes from frame to frame. Null where there is no image. */
  follow(windowText, zoom) {
    setText(this.window, windowText ?? "");
    setText(this.zoom, zoom === null ? "" : `zoom ${zoomWords(zoom)}`);
  }

  /** A sentence in the middle of the pane; "" removes it. */
  say(sentence, isError = false) {
    setText(this.message, sentence);
    this.message.classList.toggle("iv-message--error", isError);
  }
}

function corner(name) {
  return el("div", { class: "iv-corner", "data-corner": name });
}
