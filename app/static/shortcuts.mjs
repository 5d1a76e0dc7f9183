/* Keys of the viewport, and the sheet that lists them. Keys count only while the focus is inside; what is used goes no further,
 * so that a letter typed over an image never reaches the page around it. */

import { el } from "./dom.mjs";
import { MOUSE_LINES } from "./actions.mjs";

/** Key event -> "shift+arrowup", "a", "?". Shift is part of the name only for named keys: "?" and "+" already carry it. */
export function combinationOf(event) {
  const key = event.key.toLowerCase();
  const named = key.length > 1;
  return `${event.altKey ? "alt+" : ""}${event.shiftKey && named ? "shift+" : ""}${key}`;
}

/** Listens on root; hold = {key, on(), off()} for the one key that acts while it is down. */
export function listenForKeys(root, actions, hold, isSuspended) {
  const table = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));
  root.addEventListener("keydown", (event) => {
    if (isSuspended() || event.ctrlKey || event.metaKey || event.target.closest("select, input, textarea")) return;
    const combination = combinationOf(event);
    const isPress = event.target.closest("button, [role=separator]") && [" ", "enter", "arrowleft", "arrowright"].includes(combination);
    const action = table.get(combination);
    if (isPress || (!action && combination !== hold.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!action) hold.on();
    else if ((!event.repeat || action.repeats) && (action.enabled?.() ?? true)) action.run();
  });
  root.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === hold.key) hold.off(); });
  root.addEventListener("focusout", (event) => { if (!root.contains(event.relatedTarget)) hold.off(); });
}

export class Sheet {
  #dialog;

  constructor(root, actions, titleId) {
    this.#dialog = el("dialog", { class: "iv-sheet", "aria-labelledby": titleId },
      el("header", { class: "iv-sheet-head" },
        el("h2", { id: titleId, class: "iv-sheet-title" }, "Keys and mouse"),
        el("button", { type: "button", class: "iv-button", onclick: () => this.#dialog.close() }, "Close")),
      el("div", { class: "iv-sheet-groups" }, ...groups(actions)));
    this.#dialog.addEventListener("click", (event) => { if (event.target === this.#dialog) this.#dialog.close(); });
    this.#dialog.addEventListener("close", () => root.focus({ preventScroll: true }));
    root.append(this.#dialog);
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    this.#dialog.showModal();
  }
}

function groups(actions) {
  const lines = [...actions.filter((a) => a.keyWords !== null).map((a) => [a.group, a.keyWords ?? a.keys[0].toUpperCase(), a.label, a.hint]), ...MOUSE_LINES];
  const names = [...new Set(lines.map(([group]) => group))];
  return names.map((name) => el("section", { class: "iv-sheet-group" },
    el("h3", {}, name),
    el("dl", {}, ...lines.filter(([group]) => group === name).flatMap(([, keys, label, hint]) =>
      [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, label, hint ? el("span", { class: "iv-dim" }, `. ${hint}`) : null)]))));
}
