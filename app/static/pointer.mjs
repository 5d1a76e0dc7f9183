/* Mouse, pen and touch on the image area -> changes of the comparison.
 *
 * Primary drag: the tool in hand. Shift or middle button: pan. Right button: zoom. Alt: move the prior alone. Wheel: zoom
 * about the cursor. Two fingers: pan and zoom together. Double click: fit. Points are handed on in canvas pixels of the pane.
 * Knows the comparison and the tools, nothing of drawing.
 */

const RIGHT_DRAG_GAIN = 0.006;   // zoom e-folds per css pixel
const WHEEL_GAIN = 0.0016;
const LINE_HEIGHT = 32;          // css pixels of a wheel "line"
const REST_AFTER = 140;          // ms without a wheel event until the picture is drawn in full quality

export class PointerControl {
  isBusy = false;      // a drag or wheel movement that moves pixels is going on
  at = null;           // last position {pane, x, y, role}
  #area;
  #comparison;
  #tools;
  #hooks;
  #pointers = new Map();
  #drag = null;
  #pinch = null;
  #rest = 0;

  /**
   * @param {HTMLElement} area covers the canvas exactly
   * @param {object} tools {name, begin(hit), move(hit), end()} for tools that draw (measure.mjs); name "window" and "pan" are handled here
   * @param {{moved(), touched()}} hooks moved: the cursor moved; touched: something was pressed
   */
  constructor(area, comparison, tools, hooks) {
    this.#area = area;
    this.#comparison = comparison;
    this.#tools = tools;
    this.#hooks = hooks;
    const on = (name, f, options) => area.addEventListener(name, f.bind(this), options);
    on("pointerdown", this.#down);
    on("pointermove", this.#move);
    on("pointerup", this.#up);
    on("pointercancel", this.#up);
    on("lostpointercapture", this.#up);
    on("pointerleave", this.#leave);
    on("wheel", this.#wheel, { passive: false });
    on("dblclick", this.#fit);
    on("contextmenu", (event) => event.preventDefault());
  }

  /** Pane, point and image under a mouse position. Outside during a drag, the pane of the drag is kept. */
  hit(event, pane = null) {
    const { ratio } = this.#comparison.canvas;
    const box = this.#area.getBoundingClientRect();
    const x = (event.clientX - box.left) * ratio, y = (event.clientY - box.top) * ratio;
    const panes = this.#comparison.panes;
    const found = pane ?? panes.find((p) => x >= p.x && x < p.x + p.width) ?? panes.at(-1);
    return { pane: found, x: x - found.x, y, role: this.#roleAt(found, x - found.x) };
  }

  #roleAt(pane, x) {
    const { mix, shown } = this.#comparison;
    if (pane.roles.length === 1) return pane.roles[0];
    if (pane.blend === "flicker") return shown;
    return (pane.blend === "swipe" ? x < mix * pane.width : mix < 0.5) ? "prior" : "current";
  }

  #down(event) {
    this.#hooks.touched();
    const hit = this.hit(event);
    this.#pointers.set(event.pointerId, event);
    this.#area.setPointerCapture(event.pointerId);
    this.#comparison.setActive(hit.role);
    if (event.pointerType === "touch" && this.#pointers.size === 2) return this.#startPinch();
    if (this.#pointers.size > 1) return;
    const what = this.#meaning(event);
    this.#drag = { what, pane: hit.pane, role: hit.role, start: hit, x: event.clientX, y: event.clientY };
    this.isBusy = what === "pan" || what === "zoom" || what === "offset";
    if (what === "draw") this.#tools.begin(hit);
  }

  #meaning(event) {
    if (event.button === 1 || event.shiftKey) return "pan";
    if (event.button === 2) return "zoom";
    if (event.altKey) return "offset";
    return this.#tools.name === "window" || this.#tools.name === "pan" ? this.#tools.name : "draw";
  }

  #move(event) {
    this.at = this.hit(event);
    this.#hooks.moved();
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, event);
    if (this.#pinch) return this.#movePinch();
    if (!this.#drag) return;
    const { ratio } = this.#comparison.canvas;
    const dx = (event.clientX - this.#drag.x) * ratio, dy = (event.clientY - this.#drag.y) * ratio;
    Object.assign(this.#drag, { x: event.clientX, y: event.clientY });
    this.#apply(dx, dy, event);
  }

  #apply(dx, dy, event) {
    const { what, pane, start, role } = this.#drag, c = this.#comparison;
    if (what === "window") c.dragWindow(dx / Math.max(pane.width, 1), dy / Math.max(pane.height, 1), role);
    else if (what === "pan") c.panBy(dx, dy);
    else if (what === "offset") c.offsetBy(dx, dy);
    else if (what === "zoom") c.zoomBy(Math.exp((-dy / c.canvas.ratio) * RIGHT_DRAG_GAIN), pane, start);
    else this.#tools.move(this.hit(event, pane));
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    if (this.#pinch) {
      if (this.#pointers.size < 2) this.#pinch = null;
    } else if (this.#drag?.what === "draw") this.#tools.end();
    if (this.#pointers.size === 0) {
      this.#drag = null;
      this.#settle();
    }
  }

  #leave() {
    if (this.#drag) return;
    this.at = null;
    this.#hooks.moved();
  }

  #startPinch() {
    if (this.#drag?.what === "draw") this.#tools.end();
    this.#drag = null;
    this.#pinch = this.#fingers();
    this.isBusy = true;
  }

  #fingers() {
    const [a, b] = [...this.#pointers.values()];
    return { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2, spread: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) };
  }

  #movePinch() {
    const now = this.#fingers(), before = this.#pinch, c = this.#comparison;
    this.#pinch = now;
    c.panBy((now.clientX - before.clientX) * c.canvas.ratio, (now.clientY - before.clientY) * c.canvas.ratio);
    const hit = this.hit(now);
    if (before.spread > 0 && now.spread > 0) c.zoomBy(now.spread / before.spread, hit.pane, hit);
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * LINE_HEIGHT : event.deltaMode === 2 ? event.deltaY * 400 : event.deltaY;
    const hit = this.hit(event);
    this.isBusy = true;
    this.#comparison.zoomBy(Math.exp(-Math.min(Math.max(pixels, -400), 400) * WHEEL_GAIN), hit.pane, hit);
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#settle(), REST_AFTER);
  }

  #settle() {
    if (this.#drag || this.#pinch || !this.isBusy) return;
    this.isBusy = false;
    this.#hooks.moved();
  }

  #fit(event) {
    event.preventDefault();
    this.#comparison.fit();
  }
}
