/* Everything the reader can do by button or key, in one table: tool bar, shortcuts and the sheet of keys are made from it. */

import { MODES } from "./comparison.mjs";

const PAN_STEP = 40;         // css pixels per arrow key
const ZOOM_STEP = 1.25;
const WINDOW_STEP = 0.04;    // parts of the pane, as a drag would be
const MIX_STEP = 0.05;

const MODE_WORDS = {
  side: ["Side by side", "b", "Prior left, current right"],
  swipe: ["Swipe", "s", "One picture: prior left of the divider, current right of it"],
  fade: ["Fade", "d", "Both pictures on each other, mixed"],
  flicker: ["Flicker", "k", "Prior and current in turn"],
};

const TOOL_WORDS = {
  window: ["Window", "w", "Drag: right wider, down higher centre"],
  pan: ["Pan", "p", "Drag moves both images"],
  length: ["Length", "l", "Drag a distance"],
  ctr: ["CTR", "c", "Cardiothoracic ratio: drag the heart's width, then the inner thorax"],
};

/**
 * @param {object} v the viewport: {comparison, tools, flicker, say, texts, sheet}
 * @returns {object[]} {id, group, keys, label, hint, run, pressed?, enabled?, repeats?}; keys are combinations like "shift+arrowup"
 */
export function actionsOf(v) {
  const c = v.comparison;
  return [...modeActions(v, c), ...toolActions(v), ...windowActions(v, c), ...viewActions(v, c), ...keyboardActions(c), ...otherActions(v)];
}

function modeActions(v, c) {
  return MODES.map((mode) => {
    const [label, key, hint] = MODE_WORDS[mode];
    return { id: `mode-${mode}`, group: "Compare", keys: [key], label, hint, pressed: () => c.mode === mode,
      enabled: () => mode === "side" || c.isPair, run: () => v.setMode(mode) };
  });
}

function toolActions(v) {
  return Object.entries(TOOL_WORDS).map(([name, [label, key, hint]]) =>
    ({ id: `tool-${name}`, group: "Left drag", keys: [key], label, hint, pressed: () => v.tools.name === name, run: () => v.setTool(name) }));
}

function windowActions(v, c) {
  const hasImage = () => Boolean(c.images.current || c.images.prior);
  return [
    { id: "invert", group: "Window", keys: ["i"], label: "Invert", hint: "Black and white exchanged", pressed: () => c.invert, enabled: hasImage,
      run: () => { c.setInvert(!c.invert); v.say(c.invert ? "Inverted" : "Not inverted"); } },
    { id: "lut-off", group: "Window", keys: ["u"], label: "VOI LUT off", hint: "The file's window instead of its VOI LUT",
      pressed: () => c.hasLut && !c.usesLut, enabled: () => c.hasLut, run: () => { c.toggleLut(); v.say(c.usesLut ? "VOI LUT on" : "VOI LUT off"); } },
    { id: "link", group: "Window", keys: ["j"], label: "Linked", hint: "Window changes go to both images, each from its own default",
      pressed: () => c.linked, enabled: () => c.isPair, run: () => { c.setLinked(!c.linked); v.say(c.linked ? "Windows linked" : "Windows not linked"); } },
  ];
}

function viewActions(v, c) {
  const hasImage = () => Boolean(c.images.current || c.images.prior);
  return [
    { id: "fit", group: "View", keys: ["f"], label: "Fit", hint: "Whole images", enabled: hasImage, run: () => c.fit() },
    { id: "one-to-one", group: "View", keys: ["z"], label: "1:1", hint: "One image pixel on one screen pixel", enabled: hasImage, run: () => c.oneToOne() },
    { id: "reset", group: "View", keys: ["r"], label: "Reset", hint: "View, windows, inversion and alignment as loaded", enabled: hasImage,
      run: () => { c.reset(); v.say("Reset"); } },
  ];
}

function keyboardActions(c) {
  const r = () => c.canvas.ratio;
  const arrows = (modifier, act) => [["arrowleft", -1, 0], ["arrowright", 1, 0], ["arrowup", 0, -1], ["arrowdown", 0, 1]]
    .map(([key, x, y]) => ({ keys: [modifier + key], run: () => act(x, y), repeats: true }));
  return [
    ...sheetLine("View", "Arrows", "Move both images", arrows("", (x, y) => c.panBy(-x * PAN_STEP * r(), -y * PAN_STEP * r()))),
    ...sheetLine("View", "+  -", "Zoom in, zoom out", [
      { keys: ["+", "="], run: () => c.zoomBy(ZOOM_STEP), repeats: true }, { keys: ["-"], run: () => c.zoomBy(1 / ZOOM_STEP), repeats: true }]),
    ...sheetLine("Window", "Shift + arrows", "Window width and centre", arrows("shift+", (x, y) => c.dragWindow(x * WINDOW_STEP, y * WINDOW_STEP))),
    ...sheetLine("Window", "1 ... 9", "Presets of the file, the last is the 1-99 % range",
      Array.from({ length: 9 }, (_, n) => ({ keys: [String(n + 1)], run: () => c.choosePreset(n) }))),
    ...sheetLine("Compare", "Alt + arrows", "Move the prior alone, to align it", arrows("alt+", (x, y) => c.offsetBy(x * r() * 4, y * r() * 4))),
    { id: "clear-offset", group: "Compare", keys: ["o"], label: "Undo alignment", hint: "The prior back to its place", run: () => c.clearOffset() },
    ...sheetLine("Compare", "[  ]", "Divider or fade towards prior, towards current", [
      { keys: ["["], run: () => c.setMix(c.mix - MIX_STEP), repeats: true }, { keys: ["]"], run: () => c.setMix(c.mix + MIX_STEP), repeats: true }]),
  ];
}

function otherActions(v) {
  return [
    { id: "flicker-swap", group: "Compare", keys: [" "], keyWords: "Space", label: "Flicker by hand", hint: "Stops the flicker, then shows the other image",
      enabled: () => v.comparison.mode === "flicker", run: () => v.flicker.swap() },
    { id: "texts", group: "View", keys: ["t"], label: "Corner texts on or off", hint: "PRIOR and CURRENT always stay", run: () => v.toggleTexts() },
    { id: "remove-mark", group: "Left drag", keys: ["delete", "backspace"], keyWords: "Delete", label: "Remove the newest measurement", hint: "", run: () => v.tools.removeLast() },
    { id: "help", group: "Help", keys: ["?"], label: "Keys", hint: "This sheet", run: () => v.sheet.open() },
  ];
}

/** Several key bindings that share one line of the sheet. */
function sheetLine(group, keyWords, label, bindings) {
  return bindings.map((binding, n) => ({ ...binding, group, label, hint: "", keyWords: n === 0 ? keyWords : null, isBinding: true }));
}

/** Lines of the sheet that no key of the table stands for. */
export const MOUSE_LINES = Object.freeze([
  ["Mouse and touch", "Wheel, two fingers", "Zoom about the cursor"],
  ["Mouse and touch", "Right drag", "Zoom"],
  ["Mouse and touch", "Shift + drag, middle drag", "Move both images"],
  ["Mouse and touch", "Alt + drag", "Move the prior alone, to align it"],
  ["Mouse and touch", "Double click", "Fit"],
  ["View", "M held", "Magnifier, in both panes"],
]);
