/* Lengths and the cardiothoracic ratio, drawn on the images and kept in image pixels.
 *
 * A length always carries its unit and what the unit rests on: "43.1 mm (at detector)"; without a spacing it is pixels, never
 * millimetres. The ratio needs no calibration: two horizontal widths on one frontal image, the smaller over the larger.
 */

import { svg } from "./dom.mjs";
import { imageToPane, paneToImage } from "./geometry.mjs";

const LEAST_DRAG = 4;   // canvas pixels; a click is not a measurement

/** {value, unit, basis, label} of the line a-b (image pixels). */
export function lengthOf(meta, [a, b]) {
  const dx = b.x - a.x, dy = b.y - a.y, spacing = meta.spacing;
  if (!spacing) {
    const value = Math.hypot(dx, dy);
    return { value, unit: "px", basis: "no pixel spacing in the file", label: `Length ${value.toFixed(0)} px (no pixel spacing)` };
  }
  const value = Math.hypot(dx * spacing.column_mm, dy * spacing.row_mm);
  return { value, unit: "mm", basis: spacing.basis, label: `Length ${value.toFixed(1)} mm (${spacing.basis})` };
}

/** {value, unit, basis, label} of two horizontal widths (image pixels). */
export function ratioOf(meta, first, second) {
  const widths = [first, second].map(([a, b]) => Math.abs(b.x - a.x)).sort((a, b) => a - b);
  const value = widths[0] / widths[1];
  const caution = meta.view === "AP" ? " (AP view: the heart appears larger)" : meta.view === "PA" ? "" : " (view not known to be PA)";
  return { value, unit: "", basis: "ratio of two widths", label: `CTR ${value.toFixed(2)}${caution}` };
}

export class Measurements {
  name = "window";      // the tool in hand: "window" | "pan" | "length" | "ctr"
  marks = [];           // {kind, role, id, lines: [[a, b], …], result|null}
  #comparison;
  #hooks;
  #open = null;

  /** @param {{changed(), say(sentence), finished(mark)}} hooks */
  constructor(comparison, hooks) {
    this.#comparison = comparison;
    this.#hooks = hooks;
  }

  begin(hit) {
    const image = this.#comparison.images[hit.role];
    if (!image) return;
    if (this.name === "ctr" && image.meta.view === "LATERAL") return this.#hooks.say("The cardiothoracic ratio needs a frontal image.");
    const point = this.#point(hit);
    const waiting = this.name === "ctr" && this.marks.find((m) => m.kind === "ctr" && m.role === hit.role && m.id === image.id && m.lines.length === 1);
    const mark = waiting || { kind: this.name, role: hit.role, id: image.id, lines: [], result: null };
    if (!waiting) this.marks.push(mark);
    mark.lines.push([point, point]);
    this.#open = { mark, role: hit.role, start: hit };
  }

  move(hit) {
    if (!this.#open) return;
    const { mark, role } = this.#open, line = mark.lines.at(-1);
    const point = this.#point({ ...hit, role });
    line[1] = mark.kind === "ctr" ? { x: point.x, y: line[0].y } : point;
    this.#open.end = hit;
    this.#measure(mark);
    this.#hooks.changed();
  }

  end() {
    if (!this.#open) return;
    const { mark, start, end } = this.#open;
    this.#open = null;
    if (!end || Math.hypot(end.x - start.x, end.y - start.y) < LEAST_DRAG) {
      mark.lines.pop();
      if (!mark.lines.length) this.marks.splice(this.marks.indexOf(mark), 1);
    } else if (mark.result) this.#hooks.finished(mark);
    else this.#hooks.say("Now drag the other width: heart and inner thorax.");
    this.#hooks.changed();
  }

  /** Removes the newest mark; false where there is none. */
  removeLast() {
    const removed = this.marks.pop();
    if (removed) this.#hooks.changed();
    return Boolean(removed);
  }

  /** Marks of images that are no longer on screen go. */
  keepOnly(ids) {
    this.marks = this.marks.filter((mark) => ids[mark.role] === mark.id);
    this.#open = null;
  }

  #point(hit) {
    return paneToImage(this.#comparison.placement(hit.role, hit.pane), hit);
  }

  #measure(mark) {
    const { meta } = this.#comparison.images[mark.role];
    if (mark.kind === "length") mark.result = lengthOf(meta, mark.lines[0]);
    else mark.result = mark.lines.length === 2 ? ratioOf(meta, ...mark.lines) : null;
  }

  /** Draws into an <svg> that covers the canvas, in css pixels. */
  draw(layer) {
    const { ratio } = this.#comparison.canvas, c = this.#comparison;
    const boxes = c.panes.flatMap((pane) => pane.roles.map((role) => ({ pane, role, ...visiblePart(pane, role, c) })));
    layer.replaceChildren(...boxes.filter(({ role, width }) => c.images[role] && width > 0).map(({ pane, role, left, width }) => {
      const box = svg("svg", { x: left / ratio, y: 0, width: width / ratio, height: pane.height / ratio });
      const place = c.placement(role, pane);
      for (const mark of this.marks.filter((m) => m.role === role)) box.append(...drawMark(mark, place, { shift: pane.x - left, ratio, width: width / ratio }));
      return box;
    }));
  }
}

/** Canvas columns in which an image of a pane is visible. */
function visiblePart(pane, role, { mix, shown }) {
  if (pane.blend === "flicker") return { left: pane.x, width: role === shown ? pane.width : 0 };
  if (pane.blend !== "swipe") return { left: pane.x, width: pane.width };
  const cut = Math.round(mix * pane.width);
  return role === "prior" ? { left: pane.x, width: cut } : { left: pane.x + cut, width: pane.width - cut };
}

/** Above a width, beside the right end of a length; on the left of it where the pane ends. */
function labelPlace([a, b], kind, width) {
  const y = Math.max(Math.min(a.y, b.y) - 8, 16);
  if (kind === "ctr") return { x: (a.x + b.x) / 2, y, "text-anchor": "middle" };
  const right = a.x > b.x ? a : b, left = a.x > b.x ? b : a;
  if (right.x < width - 220) return { x: right.x + 8, y: Math.max(right.y - 8, 16) };
  return { x: left.x - 8, y: Math.max(left.y - 8, 16), "text-anchor": "end" };
}

function drawMark(mark, place, { shift, ratio, width }) {
  const at = (point) => {
    const p = imageToPane(place, point);
    return { x: (p.x + shift) / ratio, y: p.y / ratio };
  };
  const nodes = [];
  for (const [a, b] of mark.lines.map((line) => line.map(at))) {
    for (const kind of ["iv-mark-halo", "iv-mark"]) nodes.push(svg("line", { class: kind, x1: a.x, y1: a.y, x2: b.x, y2: b.y }));
    for (const end of [a, b]) nodes.push(svg("circle", { class: "iv-mark-end", cx: end.x, cy: end.y, r: 3 }));
  }
  const words = mark.result?.label ?? "first width; drag the other";
  nodes.push(svg("text", { class: "iv-mark-text", ...labelPlace(mark.lines.at(-1).map(at), mark.kind, width) }, words));
  return nodes;
}
