/* Draws panes on a 2D canvas: resampled stored values -> one table look-up -> grey.
 *
 * The seam for other backends: an object with `name`, `draw(scene)`, `compose(pane, slot)` and `clear()`; a scene is
 *   {width, height, quick, panes: [{x, width, height, layers: [{role, image, place, voi, invert}], blend, mix}]}
 * in canvas pixels, layers in the order prior, current; one layer is drawn alone, "swipe" cuts two at mix, "fade" mixes them.
 * Deterministic to the grey level on every machine, with or without a GPU.
 */

import { displayLut } from "./display_lut.mjs";
import { Resampler } from "./resample.mjs";

const BLACK = 0xff000000;

export class CanvasBackend {
  name = "canvas2d";
  #canvas;
  #context;
  #pictures = new Map();
  #resamplers = new Map();
  #tables = new Map();

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  }

  draw(scene) {
    if (this.#canvas.width !== scene.width || this.#canvas.height !== scene.height) {
      this.#canvas.width = scene.width;
      this.#canvas.height = scene.height;
    }
    this.#context.fillStyle = "#000";
    this.#context.fillRect(0, 0, scene.width, scene.height);
    scene.panes.forEach((pane, n) => {
      if (!pane.layers.length || pane.width < 1 || pane.height < 1) return;
      this.#context.putImageData(this.compose(pane, `pane ${n}`, scene.quick), pane.x, 0);
    });
  }

  /** The picture of one pane; `slot` names the buffers it may reuse. */
  compose(pane, slot, quick = false) {
    const { width, height, layers } = pane;
    const picture = this.#picture(slot, width, height);
    const out = new Uint32Array(picture.data.buffer);
    out.fill(BLACK);
    const drawn = layers.map((layer) => ({
      ...this.#resampler(`${slot} ${layer.role}`).get(layer.image, layer.place, width, height, quick),
      table: this.#table(layer),
    }));
    const cut = Math.round(pane.mix * width);
    if (drawn.length === 1) paint(drawn[0], out, width, 0, width);
    else if (pane.blend === "fade") {
      paint(drawn[0], out, width, 0, width);
      mixIn(drawn[1], pane.mix, out, width, height);
    }
    else {
      paint(drawn[0], out, width, 0, cut);
      paint(drawn[1], out, width, cut, width);
    }
    return picture;
  }

  /** Forget buffers of images that are gone. */
  clear() {
    this.#resamplers.clear();
    this.#tables.clear();
  }

  #picture(slot, width, height) {
    const kept = this.#pictures.get(slot);
    if (kept?.width === width && kept.height === height) return kept;
    const fresh = this.#context.createImageData(width, height);
    this.#pictures.set(slot, fresh);
    return fresh;
  }

  #resampler(slot) {
    if (!this.#resamplers.has(slot)) this.#resamplers.set(slot, new Resampler());
    return this.#resamplers.get(slot);
  }

  /** The table of a layer as canvas words, kept until its window changes. */
  #table({ role, image, voi, invert }) {
    const { values, ...parameters } = voi;
    const { slope, intercept, inverted } = image.meta;
    const key = JSON.stringify([image.id, parameters, slope, intercept, inverted, invert]);
    const kept = this.#tables.get(role);
    if (kept?.key === key) return kept.words;
    const levels = displayLut(image.meta, voi, invert);
    const words = kept?.words ?? new Uint32Array(levels.length);
    for (let n = 0; n < words.length; n++) words[n] = BLACK | (levels[n] * 0x010101);
    this.#tables.set(role, { key, words });
    return words;
  }
}

/** One layer into columns left..right of the picture; padding and everything outside the image stay black. */
function paint({ values, padding, from, to, table }, out, width, left, right) {
  const first = Math.max(from.x, left), last = Math.min(to.x, right);
  for (let y = from.y; y < to.y; y++) {
    const end = y * width + last;
    if (!padding) for (let o = y * width + first; o < end; o++) out[o] = table[values[o]];
    else for (let o = y * width + first; o < end; o++) if (!padding[o]) out[o] = table[values[o]];
  }
}

/** The layer mixed with what is already in the picture: share of the layer, the rest of the picture, rounded once. */
function mixIn({ values, padding, from, to, table }, share, out, width, height) {
  const old = Float64Array.from({ length: 256 }, (_, level) => level * (1 - share) + 0.5);
  const own = Float64Array.from({ length: 256 }, (_, level) => level * share);
  for (let y = 0, o = 0; y < height; y++) {
    const isRow = y >= from.y && y < to.y;
    for (let x = 0; x < width; x++, o++) {
      const isInside = isRow && x >= from.x && x < to.x && !(padding && padding[o]);
      const mixed = old[out[o] & 0xff] + (isInside ? own[table[values[o]] & 0xff] : 0);
      out[o] = BLACK | ((mixed | 0) * 0x010101);
    }
  }
}
