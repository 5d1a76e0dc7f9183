/* Window presets of one image, and how a window travels between two images.
 *
 * A preset is what the file offers: its VOI LUTs first, then its windows (the last is the server's "1-99 %"). Index 0 is the
 * default, as in engine.imaging.display. The reader's own change is kept as {shift, factor} relative to the preset: shift in
 * widths of that preset, factor on the width. That is what "linked" means: two detectors with 10 and 15 bits have nothing in
 * common but the distance from their own default. Pure functions; no screen.
 */

export const NEUTRAL = Object.freeze({ shift: 0, factor: 1 });

/** All presets of an image in the order of the keys 1..9. */
export function presetsOf(meta) {
  const luts = (meta.luts ?? []).map((lut, n) => {
    const values = Float64Array.from(lut.values);
    return Object.freeze({ kind: "lut", name: lut.name || `VOI LUT ${n + 1}`, first: lut.first, values, span: spanOf(lut.first, values) });
  });
  const windows = meta.windows.map((w, n) =>
    Object.freeze({ kind: "window", name: w.name || `Window ${n + 1}`, center: w.center, width: w.width, function: w.function || "LINEAR" }));
  return Object.freeze([...luts, ...windows]);
}

/** The part of a VOI LUT that carries the contrast (2..98 % of its output), as a window in modality values. */
function spanOf(first, values) {
  const low = values[0], high = values[values.length - 1];
  const fraction = (n) => (high === low ? n / values.length : (values[n] - low) / (high - low));
  let from = 0, to = values.length - 1;
  while (from < to && fraction(from) < 0.02) from++;
  while (to > from && fraction(to) > 0.98) to--;
  return Object.freeze({ center: first + (from + to) / 2, width: Math.max(to - from, 1) });
}

/** Centre and width on screen for a preset with the reader's change. */
export function centerWidth(preset, adjust = NEUTRAL) {
  const base = preset.kind === "lut" ? preset.span : preset;
  const least = preset.function === "LINEAR" ? 1 : 1e-6;
  return { center: base.center + adjust.shift * base.width, width: Math.max(base.width * adjust.factor, least) };
}

/** What display_lut.mjs takes: the preset with the reader's change applied. An unchanged preset is passed on exactly. */
export function applied(preset, adjust = NEUTRAL) {
  if (isNeutral(adjust)) return preset;
  const target = centerWidth(preset, adjust);
  if (preset.kind === "window") return { ...preset, ...target };
  return { ...preset, stretch: { from: preset.span, to: target } };
}

export function isNeutral(adjust) {
  return adjust.shift === 0 && adjust.factor === 1;
}

/** The change after a drag of (dx, dy), both as a part of the pane: right = wider, down = higher centre. */
export function dragged(adjust, dx, dy) {
  const factor = Math.min(Math.max(adjust.factor * Math.exp(dx * 1.5), 0.005), 50);
  return { shift: Math.min(Math.max(adjust.shift + dy * Math.min(adjust.factor, 4), -20), 20), factor };
}

/** Index in `presets` that answers to `chosen` of another image: same kind and name, else the same place in its kind, else the default. */
export function counterpart(presets, chosen, place) {
  const named = presets.findIndex((p) => p.kind === chosen.kind && p.name === chosen.name);
  if (named >= 0) return named;
  const sameKind = presets.map((p, n) => [p, n]).filter(([p]) => p.kind === chosen.kind);
  return sameKind[place]?.[1] ?? (chosen.kind === "window" ? presets.findIndex((p) => p.kind === "window") : 0);
}

/** Place of preset n within its own kind (0 = first VOI LUT, first window). */
export function placeInKind(presets, n) {
  return presets.slice(0, n).filter((p) => p.kind === presets[n].kind).length;
}

/** Words for the corner: "C 2048  W 4096", "VOI LUT NORMAL", with what the reader did to it. */
export function windowWords(preset, adjust = NEUTRAL, invert = false) {
  const { center, width } = centerWidth(preset, adjust);
  const figures = `C ${figure(center, width)}  W ${figure(width, width)}`;
  let words = figures;
  if (preset.kind === "lut") words = isNeutral(adjust) ? `VOI LUT ${preset.name}` : `VOI LUT ${preset.name} adjusted, ${figures}`;
  else if (preset.function && preset.function !== "LINEAR") words = `${figures}  ${preset.function}`;
  return invert ? `${words}  inverted` : words;
}

function figure(value, width) {
  const digits = width >= 20 ? 0 : width >= 2 ? 1 : 3;
  return value.toFixed(digits).replace(/^-(0(\.0+)?)$/, "$1");
}
