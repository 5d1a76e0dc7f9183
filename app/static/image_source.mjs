/* Images of the server by their sha256: description, stored values, padding mask; checked before anyone draws them.
 *
 * Keeps the last few images, so that stepping between priors does not fetch again. Image.id changes with the pixels only;
 * refreshing the description keeps the pyramid. Raises ImageError with a sentence for the pane.
 */

import { presetsOf } from "./presets.mjs";
import { buildPyramid } from "./resample.mjs";

const KEPT_IMAGES = 6;
const GENERAL = "This image could not be loaded. Try again, or drop the file once more.";

export class ImageError extends Error {}

export class ImageSource {
  #base;
  #kept = new Map();

  constructor(baseUrl = "") {
    this.#base = baseUrl;
  }

  /** @returns {Promise<{id, meta, presets, pyramid}>} fresh description, pixels from memory where they are still held */
  async get(sha256, signal) {
    const [meta, pyramid] = await Promise.all([this.#meta(sha256, signal), this.#kept.get(sha256)?.pyramid]);
    const image = { id: sha256, meta, presets: presetsOf(meta), pyramid: pyramid ?? (await this.#pyramid(sha256, meta, signal)) };
    this.#kept.delete(sha256);
    this.#kept.set(sha256, image);
    for (const oldest of [...this.#kept.keys()].slice(0, -KEPT_IMAGES)) this.#kept.delete(oldest);
    return Object.freeze(image);
  }

  async #meta(sha256, signal) {
    const meta = await this.#answer(`${sha256}/meta`, signal, (r) => r.json());
    const positive = (n) => Number.isFinite(n) && n > 0;
    const fine = Number.isInteger(meta?.rows) && Number.isInteger(meta?.columns) && positive(meta.rows) && positive(meta.columns)
      && Number.isFinite(meta.slope) && Number.isFinite(meta.intercept) && meta.windows?.length > 0
      && (!meta.spacing || (positive(meta.spacing.row_mm) && positive(meta.spacing.column_mm)));
    if (!fine) throw new ImageError(GENERAL);
    return meta;
  }

  async #pyramid(sha256, meta, signal) {
    const pixels = meta.rows * meta.columns;
    const [stored, mask] = await Promise.all([
      this.#answer(`${sha256}/pixels`, signal, (r) => r.arrayBuffer()),
      meta.has_padding ? this.#answer(`${sha256}/padding`, signal, (r) => r.arrayBuffer()) : null,
    ]);
    if (stored.byteLength !== 2 * pixels) throw new ImageError(GENERAL);
    return buildPyramid(new Uint16Array(stored), meta.columns, meta.rows, mask && unpacked(new Uint8Array(mask), pixels));
  }

  async #answer(path, signal, read) {
    let response;
    try {
      response = await fetch(`${this.#base}/image/${path}`, { signal, credentials: "same-origin" });
      if (response.ok) return await read(response);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ImageError(GENERAL, { cause: error });
    }
    const told = await response.json().catch(() => null);
    throw new ImageError(typeof told?.message === "string" ? told.message : GENERAL);
  }
}

/** One byte a pixel, whether the server sent bytes or bits (most significant first). */
function unpacked(bytes, pixels) {
  if (bytes.length === pixels) return bytes;
  if (bytes.length !== Math.ceil(pixels / 8)) throw new ImageError(GENERAL);
  return Uint8Array.from({ length: pixels }, (_, n) => (bytes[n >> 3] >> (7 - (n & 7))) & 1);
}
