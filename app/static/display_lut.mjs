/* The grey-scale pipeline as one table: every stored value 0..65535 -> the 8-bit value on the screen.
 *
 * Stored uint16 -> slope/intercept (modality value) -> VOI LUT or window -> inversion, once and last -> 8 bit.
 * Formulas: DICOM PS3.3 C.11.1.1 (rescale), C.11.2.1.2 (LINEAR, LINEAR_EXACT), C.11.2.1.3 (SIGMOID), C.11.2.1.1 (VOI LUT).
 * The same arithmetic in the same order as engine.imaging.display.lut8, so that both give the same level for all 65536 entries.
 * Knows nothing of files, panes or the screen.
 */

export const ENTRIES = 65536;

/** Fraction 0..1 for modality value x under a window {center, width, function}. */
export function windowFraction(x, { center, width, function: kind }) {
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (x - center)) / width));
  const [middle, span] = kind === "LINEAR" ? [center - 0.5, width - 1] : [center, width];
  if (x <= middle - span / 2) return 0;
  if (x > middle + span / 2) return 1;
  return (x - middle) / span + 0.5;
}

/** Fraction 0..1 for modality value x under a VOI LUT {first, values}; outside the table its end values hold. */
export function tableFraction(x, { first, values }) {
  const index = Math.floor(x - first);
  return values[Math.min(Math.max(index, 0), values.length - 1)];
}

/**
 * The table for one image.
 *
 * @param {{slope: number, intercept: number, inverted: boolean}} meta
 * @param {{kind: "window", center, width, function} | {kind: "lut", first, values, stretch?: {from: {center, width}, to: {center, width}}}} voi
 *   what presets.mjs calls an applied preset. `stretch` is the reader's own window on top of a VOI LUT: the curve keeps its
 *   shape and is moved and widened; absent means the file's table exactly.
 * @param {boolean} invert the reader's inversion, on top of MONOCHROME1
 * @returns {Uint8Array} 65536 levels
 */
export function displayLut(meta, voi, invert = false) {
  const levels = new Uint8Array(ENTRIES);
  const inverted = Boolean(meta.inverted) !== Boolean(invert);
  const fraction = fractionOf(voi);
  for (let stored = 0; stored < ENTRIES; stored++) {
    let y = fraction(stored * meta.slope + meta.intercept);
    if (inverted) y = 1 - y;
    levels[stored] = Math.floor(clamp01(y) * 255 + 0.5);
  }
  return levels;
}

function fractionOf(voi) {
  if (voi.kind === "window") return (x) => windowFraction(x, voi);
  if (!voi.stretch) return (x) => tableFraction(x, voi);
  const { from, to } = voi.stretch;
  const gain = from.width / to.width;
  return (x) => tableFraction(from.center + (x - to.center) * gain, voi);
}

function clamp01(y) {
  return y < 0 ? 0 : y > 1 ? 1 : y;
}
