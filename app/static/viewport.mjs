/* The comparison viewport: mounts into an element, loads two images of the server, shows them, listens.
 *
 * mount(element, {baseUrl, onEvent}) -> {load, refresh, setMode, setInvert, fit, reset, state, focus, destroy}
 * Safety: what is on screen changes only through load(); a newer load wins over a running one, and until an image is there its
 * pane is black and says so, never showing the one before under a new name.
 * This module only joins the others: state in comparison.mjs, drawing in canvas_backend.mjs, hands in pointer.mjs and actions.mjs.
 */

import { actionsOf } from "./actions.mjs";
import { CanvasBackend } from "./canvas_backend.mjs";
import { Comparison, ROLES } from "./comparison.mjs";
import { Divider } from "./divider.mjs";
import { el, setText, svg } from "./dom.mjs";
import { Flicker } from "./flicker.mjs";
import { ImageError, ImageSource } from "./image_source.mjs";
import { Magnifier } from "./magnifier.mjs";
import { Measurements } from "./measure.mjs";
import { PaneText } from "./pane_text.mjs";
import { PointerControl } from "./pointer.mjs";
import { centerWidth, windowWords } from "./presets.mjs";
import { focusedElement, isTyping, openShell } from "./shell.mjs";
import { listenForKeys, Sheet } from "./shortcuts.mjs";
import { Toolbar } from "./toolbar.mjs";
import { arePatientsDifferent } from "./words.mjs";

const SLOW_FRAME = 24;   // ms: where a full frame takes longer, frames during a drag are drawn quickly
let mounted = 0;

export function mount(element, options = {}) {
  const viewport = new Viewport(element, options);
  return Object.freeze({
    load: (request) => viewport.load(request),
    refresh: () => viewport.refresh(),
    setMode: (mode) => viewport.setMode(mode),
    setInvert: (invert) => viewport.comparison.setInvert(Boolean(invert)),
    fit: () => viewport.comparison.fit(),
    reset: () => viewport.comparison.reset(),
    state: () => viewport.state(),
    focus: () => viewport.root.focus({ preventScroll: true }),
    destroy: () => viewport.destroy(),
  });
}

class Viewport {
  #source;
  #backend;
  #pointer;
  #magnifier;
  #toolbar;
  #divider;
  #canvas = el("canvas", { class: "iv-canvas", "aria-hidden": "true" });
  #marks = svg("svg", { class: "iv-marks", "aria-hidden": "true" });
  #texts = { prior: new PaneText("prior"), current: new PaneText("current") };
  #live = el("p", { class: "iv-live", "aria-live": "polite" });
  #mismatch = el("p", { class: "iv-banner iv-banner--mismatch", role: "alert", hidden: true });
  #warning = el("p", { class: "iv-banner iv-banner--warning", role: "status", hidden: true });
  #requested = { prior: null, current: null };
  #loading = null;
  #frame = 0;
  #cost = { full: 0, last: 0 };
  #shell;
  #observer;
  #ended = new AbortController();
  #event;

  constructor(element, { baseUrl = "", onEvent = () => {} }) {
    this.#event = onEvent;
    this.#source = new ImageSource(baseUrl);
    this.comparison = new Comparison(() => this.#schedule());
    this.flicker = new Flicker(this.comparison);
    this.tools = new Measurements(this.comparison, {
      changed: () => this.#schedule(), say: (sentence) => this.say(sentence), finished: (mark) => this.#measured(mark) });
    this.#backend = new CanvasBackend(this.#canvas);
    this.#build(element);
    this.#showEmpty();
  }

  #build(element) {
    const actions = actionsOf(this);
    const area = el("div", { class: "iv-area" }, this.#canvas, this.#marks);
    this.#toolbar = new Toolbar(actions, this.comparison);
    this.#divider = new Divider(area, this.comparison);
    this.#magnifier = new Magnifier(area);
    this.#pointer = new PointerControl(area, this.comparison, this.tools, { moved: () => this.#schedule(), touched: () => this.#takeFocus() });
    area.append(this.#divider.element);
    this.stage = el("div", { class: "iv-stage" }, area, ...ROLES.map((role) => this.#texts[role].element), this.#toolbar.fade);
    this.root = el("div", { class: "iv-viewport", role: "application", tabindex: 0, "aria-label": "Comparison of prior and current radiograph. Press question mark for the keys." },
      this.#toolbar.element, this.#mismatch, this.#warning, this.stage, this.#live);
    this.sheet = new Sheet(this.root, actions, `iv-sheet-title-${++mounted}`);
    listenForKeys(this.root, actions, { key: "m", on: () => this.#magnify(true), off: () => this.#magnify(false) }, () => this.sheet.isOpen);
    this.stage.addEventListener("pointerenter", () => { if (!isTyping()) this.#takeFocus(); });
    element.replaceChildren();
    this.#shell = openShell(element);
    this.#shell.content.append(this.root);
    this.#observer = new ResizeObserver(() => this.#resize(area));
    this.#observer.observe(area);
    window.addEventListener("resize", () => this.#resize(area), { signal: this.#ended.signal });   // another screen, another pixel ratio
    this.#resize(area);
  }

  #takeFocus() {
    if (!this.root.contains(focusedElement()) && !document.querySelector("dialog[open]")) this.root.focus({ preventScroll: true });
  }

  /** Hidden in a tab the area has no size: nothing is drawn and nothing is lost until it comes back. */
  #resize(area) {
    const ratio = window.devicePixelRatio || 1;
    this.comparison.setCanvas(Math.round(area.clientWidth * ratio), Math.round(area.clientHeight * ratio), ratio);
    this.#cost.full = 0;
    this.#schedule();
  }

  // ---- loading

  async load({ current = null, prior = null, warnings = null } = {}) {
    this.#warn(warnings ?? []);
    if (current === this.#requested.current && prior === this.#requested.prior) return this.#loading?.done;
    this.#loading?.abort.abort();
    this.#requested = { current, prior };
    const loading = { abort: new AbortController() };
    this.#loading = loading;
    this.comparison.clearImages();
    this.#backend.clear();
    this.#cost.full = 0;
    for (const role of ROLES) this.#texts[role].say(this.#requested[role] ? "Loading" : "");
    this.#describe();
    loading.done = this.#fetch(loading);
    return loading.done;
  }

  async #fetch(loading) {
    const wanted = this.#requested;
    const images = await Promise.all(ROLES.map((role) => this.#image(role, wanted[role], loading)));
    if (this.#loading !== loading) return;
    const [prior, current] = images;
    this.tools.keepOnly(wanted);
    this.comparison.setImages({ prior, current });
    for (const role of ROLES) if (this.comparison.images[role]) this.#texts[role].say("");
    if (!wanted.prior && !wanted.current) this.#showEmpty();
    else if (!wanted.prior) this.#texts.prior.say("No prior");
    if (this.comparison.mode !== "flicker") this.flicker.stop();
    this.#describe();
    this.#draw();
    this.#event("loaded", { prior: prior?.id ?? null, current: current?.id ?? null });
  }

  async #image(role, sha256, loading) {
    if (!sha256) return null;
    try {
      return await this.#source.get(sha256, loading.abort.signal);
    } catch (error) {
      if (this.#loading !== loading || error.name === "AbortError") return null;
      const message = error instanceof ImageError ? error.message : "This image could not be shown.";
      this.#texts[role].say(message, true);
      this.#requested = { ...this.#requested, [role]: null };   // asking again for the same image tries again
      this.#event("error", { role, message });
      return null;
    }
  }

  /** Descriptions again, pixels kept: after the user said who, when or which view a plain picture is. */
  async refresh() {
    const loading = this.#loading;
    for (const role of ROLES) {
      const shown = this.comparison.images[role];
      const image = shown && (await this.#image(role, shown.id, loading));
      if (image && this.comparison.images[role]?.id === image.id) this.comparison.describe(role, image);
    }
    this.#describe();
  }

  #showEmpty() {
    this.#texts.prior.say("");
    this.#texts.current.say("No study open. Drop a current and a prior study.");
  }

  #describe() {
    const [prior, current] = ROLES.map((role) => this.comparison.images[role]?.meta ?? null);
    this.#texts.prior.describe(prior, current);
    this.#texts.current.describe(current, prior);
    const different = Boolean(prior && current && arePatientsDifferent(prior, current));
    this.#mismatch.hidden = !different;
    setText(this.#mismatch, different ? "DIFFERENT PATIENT: prior and current carry different patient IDs" : "");
    this.#schedule();
  }

  #warn(warnings) {
    this.#warning.hidden = warnings.length === 0;
    setText(this.#warning, warnings.join("  "));
  }

  // ---- doing

  setMode(mode) {
    if (!this.comparison.setMode(mode)) return false;
    if (mode === "flicker") this.flicker.start();
    else this.flicker.stop();
    this.#event("mode", { mode });
    return true;
  }

  setTool(name) {
    this.tools.name = name;
    this.stage.dataset.tool = name;
    this.#schedule();
  }

  toggleTexts() {
    this.root.classList.toggle("iv-viewport--bare");
  }

  say(sentence) {
    setText(this.#live, sentence);
  }

  #magnify(isOn) {
    if (this.#magnifier.isOn === isOn) return;
    this.#magnifier.isOn = isOn;
    this.#schedule();
  }

  #measured({ kind, role, id, result }) {
    this.say(result.label);
    this.#event("measurement", { kind, role, sha256: id, ...result });
  }

  // ---- drawing

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #paneSpec(pane, view = this.comparison.view) {
    const c = this.comparison;
    const roles = pane.blend === "flicker" ? [c.shown] : pane.roles;
    const layers = roles.filter((role) => c.images[role]).map((role) =>
      ({ role, image: c.images[role], place: c.placement(role, pane, view), voi: c.voi(role), invert: c.invert }));
    return { ...pane, layers, mix: c.mix };
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const c = this.comparison, { width, height } = c.canvas;
    this.#toolbar.update(c);
    if (!width || !height) return;
    const begin = performance.now();
    const quick = this.#pointer.isBusy && this.#cost.full > SLOW_FRAME;
    this.#backend.draw({ width, height, quick, panes: c.panes.map((pane) => this.#paneSpec(pane)) });
    this.#cost.last = performance.now() - begin;
    if (this.#pointer.isBusy && !quick) this.#cost.full = this.#cost.last;
    this.#magnifier.draw(this.#pointer.at, c, this.#backend, (pane, view) => this.#paneSpec(pane, view));
    this.tools.draw(this.#marks);
    this.#divider.update();
    this.#follow();
  }

  #follow() {
    const c = this.comparison, { ratio } = c.canvas;
    this.stage.dataset.mode = c.mode;
    for (const role of ROLES) {
      const pane = c.panes.find((p) => p.roles.includes(role));
      const half = pane.width / 2;
      const overlaid = pane.roles.length > 1 && pane.blend !== "flicker";
      const box = overlaid ? { left: role === "prior" ? 0 : half, width: half } : { left: pane.x, width: pane.width };
      this.#texts[role].place({ left: box.left / ratio, width: box.width / ratio }, pane.blend !== "flicker" || c.shown === role);
      const there = Boolean(c.images[role]);
      const moved = role === "prior" && (c.offset.x || c.offset.y) ? "\nmoved by hand" : "";
      this.#texts[role].follow(there ? windowWords(c.preset(role), c.adjust(role), c.invert) + moved : null, there ? c.zoom(role) : null);
    }
  }

  /** A plain snapshot: tests and the page read it, nobody writes it. */
  state() {
    const c = this.comparison;
    const of = (role) => c.images[role] && { sha256: c.images[role].id, zoom: c.zoom(role), preset: c.preset(role).name, presetIndex: c.presetIndex(role), ...centerWidth(c.preset(role), c.adjust(role)) };
    return { mode: c.mode, mix: c.mix, shown: c.shown, invert: c.invert, linked: c.linked, active: c.active, tool: this.tools.name, basis: c.basis, view: { ...c.view }, offset: { ...c.offset },
      prior: of("prior"), current: of("current"), canvas: { ...c.canvas }, panes: c.panes, backend: this.#backend.name, frameMs: this.#cost.last,
      measurements: this.tools.marks.map(({ kind, role, result }) => ({ kind, role, ...result })) };
  }

  destroy() {
    this.#loading?.abort.abort();
    this.#observer.disconnect();
    this.#ended.abort();
    this.flicker.stop();
    cancelAnimationFrame(this.#frame);
    this.#shell.host.remove();
  }
}
