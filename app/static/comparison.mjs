/* The state of one comparison: two images, one view, one window law. Every change goes through a method and calls `changed`.
 *
 * Linked zoom and pan: there is only one view, in the common world of geometry.mjs; the prior may be moved by an offset in it.
 * Linked window: one {shift, factor} for both images, each relative to its own preset; unlinked, each image has its own.
 * Sizes come from outside (setCanvas); no DOM, no drawing, no fetching.
 */

import * as geometry from "./geometry.mjs";
import { applied, counterpart, dragged, NEUTRAL, placeInKind } from "./presets.mjs";
import { layoutPanes } from "./layout.mjs";

export const ROLES = Object.freeze(["prior", "current"]);
export const MODES = Object.freeze(["side", "swipe", "fade", "flicker"]);

export class Comparison {
  images = { prior: null, current: null };
  mode = "side";
  mix = 0.5;              // swipe: where the divider stands; fade: share of the current image
  shown = "current";      // which image flicker shows
  invert = false;
  linked = true;          // windows
  active = "current";     // the image last touched: where unlinked windows go
  view = { x: 0, y: 0, scale: 1 };
  offset = { x: 0, y: 0 };
  #window = { prior: { preset: 0, adjust: NEUTRAL }, current: { preset: 0, adjust: NEUTRAL } };
  #canvas = { width: 0, height: 0, ratio: 1 };
  #isFitted = true;
  #changed;

  constructor(changed) {
    this.#changed = changed;
  }

  // ---- images and panes

  /** Nothing on screen while others are fetched; the mode waits for them. */
  clearImages() {
    this.images = { prior: null, current: null };
    this.#changed();
  }

  /** New images: view, offset, windows and inversion start afresh; the mode stays where both images exist. */
  setImages({ prior, current }) {
    this.images = { prior, current };
    this.offset = { x: 0, y: 0 };
    this.invert = false;
    this.linked = true;
    this.active = "current";
    for (const role of ROLES) this.#window[role] = { preset: 0, adjust: NEUTRAL };
    if (!this.isPair) this.mode = "side";
    this.fit();
  }

  /** The same pixels described anew (patient, date, view): nothing on screen moves. */
  describe(role, image) {
    this.images[role] = image;
    this.#changed();
  }

  get isPair() {
    return Boolean(this.images.prior && this.images.current);
  }

  get basis() {
    return geometry.worldBasis(this.#metas());
  }

  /** Panes in canvas pixels (layout.mjs). */
  get panes() {
    return layoutPanes(this.mode, this.#canvas, Boolean(this.images.prior));
  }

  setCanvas(width, height, ratio) {
    const before = this.#canvas;
    if (width === before.width && height === before.height && ratio === before.ratio) return;
    this.#canvas = { width, height, ratio };
    if (!width || !height) return;
    if (this.#isFitted || !before.width) this.fit();
    else this.#look({ ...this.view, scale: this.view.scale * (before.ratio / ratio) });
  }

  get canvas() {
    return this.#canvas;
  }

  #metas() {
    return ROLES.map((role) => this.images[role]?.meta ?? null);
  }

  /** Canvas -> image map of an image in a pane. */
  placement(role, pane, view = this.view) {
    const offset = role === "prior" ? this.offset : undefined;
    return geometry.placement(this.images[role].meta, this.basis, view, pane, offset);
  }

  // ---- view

  fit() {
    const pairs = this.panes.flatMap((pane) => pane.roles.filter((role) => this.images[role]).map((role) => [this.images[role].meta, pane]));
    if (pairs.length && this.#canvas.width) this.view = geometry.fitted(pairs, this.basis);
    this.#isFitted = true;
    this.#changed();
  }

  #look(view) {
    this.view = geometry.bounded(view, this.#metas(), this.basis);
    this.#isFitted = false;
    this.#changed();
  }

  /** Canvas pixels per image pixel of an image (1 = one to one). */
  zoom(role) {
    return geometry.zoomOf(this.images[role].meta, this.basis, this.view);
  }

  /** Zoom by a factor about a point of a pane (default: its middle). */
  zoomBy(factor, pane = this.panes[0], point = middle(pane)) {
    const role = this.images.current ? "current" : "prior";
    if (this.images[role]) this.#zoomAbout(role, this.zoom(role) * factor, pane, point);
  }

  /** One image pixel of the active image on one screen pixel. */
  oneToOne() {
    const role = this.images[this.active] ? this.active : "current";
    const pane = this.panes.find((p) => p.roles.includes(role));
    if (this.images[role]) this.#zoomAbout(role, 1, pane, middle(pane));
  }

  #zoomAbout(role, zoom, pane, point) {
    this.#look(geometry.zoomedTo(this.view, pane, point, this.images[role].meta, this.basis, zoom));
  }

  /** Move the images by canvas pixels. */
  panBy(dx, dy) {
    this.#look({ ...this.view, x: this.view.x - dx * this.view.scale, y: this.view.y - dy * this.view.scale });
  }

  /** Move the prior alone, to lay it on the current image. */
  offsetBy(dx, dy) {
    if (!this.isPair) return;
    this.offset = { x: this.offset.x + dx * this.view.scale, y: this.offset.y + dy * this.view.scale };
    this.#changed();
  }

  clearOffset() {
    this.offset = { x: 0, y: 0 };
    this.#changed();
  }

  // ---- windows

  preset(role) {
    return this.images[role].presets[this.#window[role].preset];
  }

  presetIndex(role) {
    return this.#window[role].preset;
  }

  adjust(role) {
    return this.#window[role].adjust;
  }

  /** What display_lut.mjs takes for this image now. */
  voi(role) {
    return applied(this.preset(role), this.adjust(role));
  }

  #windowed(role) {
    if (!this.linked) return this.images[role] ? [role] : [];
    return ROLES.filter((r) => this.images[r]);
  }

  /** Drag by parts of the pane's width and height. */
  dragWindow(dx, dy, role = this.active) {
    for (const r of this.#windowed(role)) this.#window[r] = { ...this.#window[r], adjust: dragged(this.adjust(r), dx, dy) };
    this.#changed();
  }

  /** Preset n of an image; the other, where linked, takes its counterpart. False where there is no such preset. */
  choosePreset(n, role = this.active) {
    const lead = this.images[role] ? role : "current";
    const chosen = this.images[lead]?.presets[n];
    if (!chosen) return false;
    const place = placeInKind(this.images[lead].presets, n);
    for (const r of this.#windowed(lead)) {
      const preset = r === lead ? n : counterpart(this.images[r].presets, chosen, place);
      this.#window[r] = { preset, adjust: NEUTRAL };
    }
    this.#changed();
    return true;
  }

  get hasLut() {
    return ROLES.some((role) => this.images[role]?.presets[0].kind === "lut");
  }

  get usesLut() {
    return ROLES.some((role) => this.images[role] && this.preset(role).kind === "lut");
  }

  /** VOI LUT off (the file's first window instead) or on again; vendors ship bad tables. */
  toggleLut(role = this.active) {
    const kind = this.usesLut ? "window" : "lut";
    for (const r of this.#windowed(role)) {
      const n = this.images[r].presets.findIndex((p) => p.kind === kind);
      if (n >= 0) this.#window[r] = { preset: n, adjust: NEUTRAL };
    }
    this.#changed();
  }

  setLinked(linked) {
    this.linked = linked;
    if (linked) this.#window.prior = { ...this.#window.prior, adjust: this.#window.current.adjust };
    this.#changed();
  }

  setInvert(invert) {
    this.invert = invert;
    this.#changed();
  }

  // ---- modes

  /** False where the mode needs a prior that is not there. */
  setMode(mode) {
    if (!MODES.includes(mode) || (mode !== "side" && !this.isPair)) return false;
    if (mode === this.mode) return true;
    this.mode = mode;
    if (this.#isFitted) this.fit();
    this.#changed();
    return true;
  }

  setMix(mix) {
    this.mix = Math.min(Math.max(mix, 0), 1);
    this.#changed();
  }

  show(role) {
    this.shown = role;
    this.#changed();
  }

  setActive(role) {
    if (this.active === role || !this.images[role]) return;
    this.active = role;
    this.#changed();
  }

  /** Everything as it was after loading, the mode excepted. */
  reset() {
    this.offset = { x: 0, y: 0 };
    this.invert = false;
    this.linked = true;
    this.mix = 0.5;
    for (const role of ROLES) this.#window[role] = { preset: 0, adjust: NEUTRAL };
    this.fit();
  }
}

function middle(pane) {
  return { x: pane.width / 2, y: pane.height / 2 };
}
