/* Stored values of an image -> stored values at the resolution of a pane, before any window is applied.
 *
 * A pyramid of halved images and a separable tent filter: at 1:1 and above the tent is plain bilinear interpolation, below it
 * widens to cover the pixels that fall together, so grids and trabeculae do not alias into patterns that are not there.
 * The result is kept by whoever asked (class Resampler), so that a window drag costs only the table look-up.
 * Padding never mixes into its neighbours: it is left out of averages, and its rim is filled from the image before filtering.
 * Knows arrays only.
 */

const LEVELS = 6;
const SMALLEST_SIDE = 16;

/** Levels [{values: Uint16Array, padding: Uint8Array|null, width, height}]; level n is halved n times, sides rounded up. */
export function buildPyramid(values, width, height, padding = null) {
  let level = { values: padding ? withFilledRim(values, padding, width, height) : values, padding, width, height };
  const levels = [level];
  while (levels.length < LEVELS && Math.min(level.width, level.height) >= 2 * SMALLEST_SIDE) {
    level = halved(level);
    levels.push(level);
  }
  return levels;
}

function halved({ values, padding, width, height }) {
  const w = (width + 1) >> 1, h = (height + 1) >> 1;
  const out = new Uint16Array(w * h);
  for (let y = 0, o = 0; y < h; y++) {
    const top = 2 * y * width, bottom = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < w; x++, o++) {
      const left = 2 * x, right = Math.min(left + 1, width - 1);
      out[o] = (values[top + left] + values[top + right] + values[bottom + left] + values[bottom + right] + 2) >> 2;
    }
  }
  const level = { values: out, padding: null, width: w, height: h };
  return padding ? withoutPadding(level, { values, padding, width, height }) : level;
}

/** The halved level again where a block of four held padding: the mean of the rest, or padding where nothing is left. */
function withoutPadding(level, source) {
  const mask = new Uint8Array(level.values.length);
  for (let y = 0, o = 0; y < level.height; y++) {
    for (let x = 0; x < level.width; x++, o++) {
      let sum = 0, n = 0, covered = 0;
      for (let j = 2 * y; j < Math.min(2 * y + 2, source.height); j++) {
        for (let i = 2 * x; i < Math.min(2 * x + 2, source.width); i++) {
          const k = j * source.width + i;
          if (source.padding[k]) covered++;
          else { sum += source.values[k]; n++; }
        }
      }
      if (covered) level.values[o] = n ? Math.floor(sum / n + 0.5) : 0;
      mask[o] = n ? 0 : 1;
    }
  }
  return { ...level, values: withFilledRim(level.values, mask, level.width, level.height), padding: mask };
}

/** A copy in which padding pixels that touch the image carry the mean of their image neighbours. */
function withFilledRim(values, padding, width, height) {
  const out = Uint16Array.from(values);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!padding[y * width + x]) continue;
      let sum = 0, n = 0;
      for (let j = Math.max(y - 1, 0); j <= Math.min(y + 1, height - 1); j++) {
        for (let i = Math.max(x - 1, 0); i <= Math.min(x + 1, width - 1); i++) {
          const k = j * width + i;
          if (!padding[k]) { sum += values[k]; n++; }
        }
      }
      if (n) out[y * width + x] = Math.floor(sum / n + 0.5);
    }
  }
  return out;
}

/** Which level serves a minification of `step` image pixels per pane pixel. */
export function levelFor(step, count) {
  return Math.min(Math.max(Math.floor(Math.log2(Math.max(step, 1)) + 1e-9), 0), count - 1);
}

/**
 * Filter taps along one axis: for pane pixel i its image position is s = a*(i+0.5)+b; inside while 0 <= s < size.
 * @returns {{from, to, taps, start: Int32Array, weight: Float32Array}} from..to: the pane pixels inside the image
 */
export function axisTaps(count, a, b, size, step, samples) {
  const radius = Math.max(1, a / step);
  const taps = Math.min(radius === 1 ? 2 : radius <= 2 ? 4 : Math.ceil(2 * radius), samples);
  const from = Math.min(Math.max(Math.ceil(-b / a - 0.5), 0), count);
  const to = Math.min(Math.max(Math.ceil((size - b) / a - 0.5), from), count);
  const start = new Int32Array(count), weight = new Float32Array(count * taps);
  for (let i = from; i < to; i++) {
    const centre = (a * (i + 0.5) + b) / step - 0.5;
    const first = Math.min(Math.max(Math.floor(centre - radius) + 1, 0), samples - taps);
    let sum = 0;
    for (let t = 0; t < taps; t++) {
      const w = Math.max(0, 1 - Math.abs(first + t - centre) / radius);
      weight[i * taps + t] = w;
      sum += w;
    }
    for (let t = 0; t < taps; t++) weight[i * taps + t] /= sum;
    start[i] = first;
  }
  return { from, to, taps, start, weight };
}

/** Keeps the last result for one image in one pane. */
export class Resampler {
  #key = "";
  #result = null;
  #rows = new Float32Array(0);

  /**
   * @param {{id: string, pyramid: object[]}} image
   * @param {{ax, bx, ay, by}} place canvas -> image (geometry.placement)
   * @param {boolean} quick nearest neighbour, for frames during a drag on large screens
   * @returns {{values: Uint16Array, padding: Uint8Array|null, from: {x, y}, to: {x, y}}} values outside from..to are stale
   */
  get(image, place, width, height, quick = false) {
    const key = [image.id, width, height, quick, place.ax, place.bx, place.ay, place.by].join(" ");
    if (key === this.#key) return this.#result;
    const keep = this.#result?.values.length === width * height ? this.#result.values : new Uint16Array(width * height);
    const full = image.pyramid[0];
    const n = levelFor(Math.max(place.ax, place.ay), image.pyramid.length);
    const level = image.pyramid[n], step = 2 ** n;
    const xs = axisTaps(width, place.ax, place.bx, full.width, step, level.width);
    const ys = axisTaps(height, place.ay, place.by, full.height, step, level.height);
    if (quick) nearest(level, place, step, xs, ys, width, keep);
    else this.#filter(level, xs, ys, width, keep);
    const padding = level.padding && nearestPadding(level, place, step, xs, ys, width, height);
    this.#result = { values: keep, padding, from: { x: xs.from, y: ys.from }, to: { x: xs.to, y: ys.to } };
    this.#key = key;
    return this.#result;
  }

  /** Rows first (only those needed), then columns. */
  #filter(level, xs, ys, width, out) {
    if (xs.from >= xs.to || ys.from >= ys.to) return;
    const top = ys.start[ys.from], bottom = ys.start[ys.to - 1] + ys.taps;
    const needed = (bottom - top) * width;
    if (this.#rows.length < needed) this.#rows = new Float32Array(needed);
    const rows = this.#rows;
    for (let y = top; y < bottom; y++) filterRow(level.values, y * level.width, xs, rows, (y - top) * width);
    for (let y = ys.from; y < ys.to; y++) filterColumns(rows, (ys.start[y] - top) * width, width, ys, y, xs, out);
  }
}

function filterRow(values, base, { from, to, taps, start, weight }, rows, o) {
  if (taps === 2) {
    for (let x = from, k = 2 * from; x < to; x++, k += 2) {
      const s = base + start[x];
      rows[o + x] = values[s] * weight[k] + values[s + 1] * weight[k + 1];
    }
  } else if (taps === 4) {
    for (let x = from, k = 4 * from; x < to; x++, k += 4) {
      const s = base + start[x];
      rows[o + x] = values[s] * weight[k] + values[s + 1] * weight[k + 1] + values[s + 2] * weight[k + 2] + values[s + 3] * weight[k + 3];
    }
  } else {
    for (let x = from; x < to; x++) {
      let sum = 0;
      for (let t = 0; t < taps; t++) sum += values[base + start[x] + t] * weight[x * taps + t];
      rows[o + x] = sum;
    }
  }
}

function filterColumns(rows, base, width, { taps, weight }, y, { from, to }, out) {
  const o = y * width, k = y * taps;
  if (taps === 2) {
    const [u, v] = [weight[k], weight[k + 1]], second = base + width;
    for (let x = from; x < to; x++) out[o + x] = rows[base + x] * u + rows[second + x] * v + 0.5;
  } else if (taps === 4) {
    const [u, v, w, z] = [weight[k], weight[k + 1], weight[k + 2], weight[k + 3]];
    const [b, c, d] = [base + width, base + 2 * width, base + 3 * width];
    for (let x = from; x < to; x++) out[o + x] = rows[base + x] * u + rows[b + x] * v + rows[c + x] * w + rows[d + x] * z + 0.5;
  } else {
    for (let x = from; x < to; x++) {
      let sum = 0.5;
      for (let t = 0; t < taps; t++) sum += rows[base + t * width + x] * weight[k + t];
      out[o + x] = sum;
    }
  }
}

function nearestColumns(level, place, step, xs, width) {
  const columns = new Int32Array(width);
  for (let x = xs.from; x < xs.to; x++) columns[x] = Math.min(Math.floor((place.ax * (x + 0.5) + place.bx) / step), level.width - 1);
  return columns;
}

function nearest(level, place, step, xs, ys, width, out) {
  const columns = nearestColumns(level, place, step, xs, width);
  for (let y = ys.from; y < ys.to; y++) {
    const base = Math.min(Math.floor((place.ay * (y + 0.5) + place.by) / step), level.height - 1) * level.width;
    for (let x = xs.from, o = y * width + xs.from; x < xs.to; x++, o++) out[o] = level.values[base + columns[x]];
  }
}

function nearestPadding(level, place, step, xs, ys, width, height) {
  const mask = new Uint8Array(width * height);
  nearest({ ...level, values: level.padding }, place, step, xs, ys, width, mask);
  return mask;
}
