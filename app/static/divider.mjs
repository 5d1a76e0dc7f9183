/* The swipe divider: a separator that is dragged or moved with the arrow keys. */

import { el } from "./dom.mjs";

const STEP = 0.02;

export class Divider {
  #comparison;

  constructor(area, comparison) {
    this.#comparison = comparison;
    this.element = el("div", { class: "iv-divider", role: "separator", tabindex: 0, hidden: true, "aria-orientation": "vertical",
      "aria-label": "Divider between prior and current", "aria-valuemin": 0, "aria-valuemax": 100 }, el("span", { class: "iv-divider-grip" }));
    const follow = (event) => {
      const box = area.getBoundingClientRect();
      comparison.setMix((event.clientX - box.left) / box.width);
    };
    this.element.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      this.element.setPointerCapture(event.pointerId);
      this.element.addEventListener("pointermove", follow);
    });
    for (const end of ["pointerup", "pointercancel"]) this.element.addEventListener(end, () => this.element.removeEventListener("pointermove", follow));
    this.element.addEventListener("dblclick", (event) => { event.stopPropagation(); comparison.setMix(0.5); });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  update() {
    const { mode, mix } = this.#comparison;
    this.element.hidden = mode !== "swipe";
    this.element.style.left = `${mix * 100}%`;
    this.element.setAttribute("aria-valuenow", String(Math.round(mix * 100)));
  }

  #key(event) {
    const to = { ArrowLeft: this.#comparison.mix - STEP, ArrowRight: this.#comparison.mix + STEP, Home: 0, End: 1 }[event.key];
    if (to === undefined || event.altKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#comparison.setMix(to);
  }
}
