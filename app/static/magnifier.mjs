/* The lens: while it is held, a round enlargement under the cursor, and in the other pane at the corresponding place. */

import { el } from "./dom.mjs";
import { paneToWorld } from "./geometry.mjs";

const DIAMETER = 260;     // css pixels
const LEAST_GAIN = 2.5;
const MOST_GAIN = 10;

export class Magnifier {
  isOn = false;
  #lenses = [];
  #container;

  constructor(container) {
    this.#container = container;
  }

  /**
   * @param {{pane, x, y}|null} at the cursor @param scene the scene on screen (canvas_backend.mjs)
   * @param {(pane, view) => object} sceneOf a pane of this size under this view, as a scene pane
   */
  draw(at, comparison, backend, sceneOf) {
    const panes = this.isOn && at ? comparison.panes.filter((pane) => pane.roles.some((role) => comparison.images[role])) : [];
    while (this.#lenses.length < panes.length) this.#lenses.push(this.#container.appendChild(el("canvas", { class: "iv-lens", "aria-hidden": "true" })));
    this.#lenses.forEach((lens, n) => {
      lens.hidden = n >= panes.length;
      if (!lens.hidden) this.#drawLens(lens, n, panes[n], at, comparison, backend, sceneOf);
    });
  }

  #drawLens(lens, n, pane, at, comparison, backend, sceneOf) {
    const { ratio } = comparison.canvas;
    const size = Math.round(DIAMETER * ratio);
    const zoom = comparison.zoom(comparison.images.current ? "current" : "prior");
    const gain = Math.min(Math.max(LEAST_GAIN, 1 / zoom), MOST_GAIN);
    // Panes of equal size share the view, so the same point of the pane is the same place of the body.
    const point = { x: at.x - at.pane.width / 2 + pane.width / 2, y: at.y };
    const world = paneToWorld(comparison.view, pane, point);
    const cut = ((comparison.mix * pane.width - point.x) * gain + size / 2) / size;
    const spec = sceneOf({ ...pane, x: 0, width: size, height: size }, { ...world, scale: comparison.view.scale / gain });
    if (lens.width !== size) lens.width = lens.height = size;
    const mix = pane.blend === "swipe" ? Math.min(Math.max(cut, 0), 1) : comparison.mix;
    lens.getContext("2d", { alpha: false }).putImageData(backend.compose({ ...spec, mix }, `lens ${n}`), 0, 0);
    lens.style.width = lens.style.height = `${DIAMETER}px`;
    lens.style.left = `${(pane.x + point.x) / ratio - DIAMETER / 2}px`;
    lens.style.top = `${point.y / ratio - DIAMETER / 2}px`;
  }
}
