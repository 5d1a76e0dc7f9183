/* The bar above the panes: buttons of the action table and the list of presets; and the slider of the fade, which lies over the
 * image, so that the panes keep their size when it comes. The bar stays one row as long as its icons fit into one: the list
 * of presets gives way first, whatever the presets are called, then the words of the buttons, from the right; tooltips stay. */

import { el } from "./dom.mjs";
import { icon } from "./icons.mjs";
import { windowWords } from "./presets.mjs";

const GROUPS = [
  ["Compare", ["mode-side", "mode-swipe", "mode-fade", "mode-flicker"], true],
  ["Left drag", ["tool-window", "tool-pan", "tool-length", "tool-ctr"], true],
  ["Window", ["invert", "lut-off", "link"], false],
  ["View", ["fit", "one-to-one", "reset"], false],
  ["Help", ["help"], false],
];
/* How many groups, from the left, may show words on their buttons: as many as fit. */
const WORDS = [GROUPS.length, 2, 1, 0];

export class Toolbar {
  #buttons;
  #presets = el("select", { class: "iv-select", "aria-label": "Window preset", title: "Window preset (1 ... 9)" });
  #fade = el("input", { class: "iv-range", type: "range", min: 0, max: 100, "aria-label": "Fade from prior to current" });
  #presetKey = "";

  constructor(actions, comparison) {
    const byId = new Map(actions.filter((a) => a.id).map((a) => [a.id, a]));
    this.#buttons = new Map([...byId].filter(([id]) => GROUPS.some(([, ids]) => ids.includes(id))).map(([id, action]) => [action, button(id, action)]));
    this.#presets.addEventListener("change", () => comparison.choosePreset(Number(this.#presets.value)));
    this.#fade.addEventListener("input", () => comparison.setMix(Number(this.#fade.value) / 100));
    this.fade = el("label", { class: "iv-fade", hidden: true }, el("span", { class: "iv-role-prior" }, "Prior"), this.#fade, el("span", { class: "iv-role-current" }, "Current"));
    const groups = GROUPS.map(([label, ids]) => {
      const nodes = ids.map((id) => this.#buttons.get(byId.get(id)));
      if (label === "Window") nodes.unshift(this.#presets);
      return el("div", { class: "iv-group", role: "group", "aria-label": label }, ...nodes);
    });
    this.element = el("div", { class: "iv-toolbar", role: "toolbar", "aria-label": "Viewport tools" }, ...groups);
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  /** Measured rather than computed: how wide words are depends on the machine's fonts. */
  #fit() {
    for (const words of WORDS) {
      this.element.dataset.words = String(words);
      if (this.element.scrollWidth <= this.element.clientWidth) return;
    }
  }

  update(comparison) {
    for (const [action, node] of this.#buttons) {
      node.disabled = !(action.enabled?.() ?? true);
      if (action.pressed) node.setAttribute("aria-pressed", String(action.pressed()));
    }
    this.fade.hidden = comparison.mode !== "fade";
    this.#fade.value = String(Math.round(comparison.mix * 100));
    this.#updatePresets(comparison);
  }

  #updatePresets(comparison) {
    const role = comparison.images[comparison.active] ? comparison.active : "current";
    const image = comparison.images[role];
    const key = image ? `${role} ${image.id} ${image.presets.length}` : "";
    this.#presets.disabled = !image;
    if (key !== this.#presetKey) {
      this.#presetKey = key;
      this.#presets.replaceChildren(...(image?.presets ?? []).map((preset, n) =>
        el("option", { value: n, title: windowWords(preset) }, `${n + 1}  ${preset.kind === "lut" ? `VOI LUT ${preset.name}` : preset.name}`)));
    }
    if (image) this.#presets.value = String(comparison.presetIndex(role));
  }
}

function button(id, action) {
  const key = action.keys[0].toUpperCase();
  return el("button", { type: "button", class: "iv-button", "data-action": id, title: `${action.label} (${key})${action.hint ? `. ${action.hint}` : ""}`,
    "aria-keyshortcuts": key, onclick: () => action.run() }, icon(id), el("span", { class: "iv-button-text" }, action.label));
}
