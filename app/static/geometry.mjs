/* Where things are: image pixels, a common world in which two images lie on each other, and canvas pixels.
 *
 * World: the centre of each image is the origin; x to the right, y down. When every loaded image has a pixel spacing the
 * unit is 1 mm (basis "mm"); otherwise one image height (basis "height"), so that two uncalibrated images still zoom alike.
 * View: {x, y, scale}: the world point in the middle of a pane and world units per canvas pixel.
 * Placement: axis-aligned map canvas pixel -> image pixel, image = a * pane + b for each axis, pixel centres at +0.5.
 * Pure functions; no DOM, no devicePixelRatio: canvas pixels throughout.
 */

export const ZOOM_LIMITS = Object.freeze({ least: 0.02, most: 32 });

/** "mm" when all metas (nulls skipped) have spacing, else "height". */
export function worldBasis(metas) {
  const there = metas.filter(Boolean);
  return there.length > 0 && there.every((m) => m.spacing) ? "mm" : "height";
}

/** World units per image column and row. Unequal spacing keeps its aspect even where the unit is the image height. */
export function unitsOf(meta, basis) {
  if (basis === "mm") return { x: meta.spacing.column_mm, y: meta.spacing.row_mm };
  const aspect = meta.spacing ? meta.spacing.column_mm / meta.spacing.row_mm : 1;
  return { x: aspect / meta.rows, y: 1 / meta.rows };
}

/** Size of an image in world units. */
export function extentOf(meta, basis) {
  const unit = unitsOf(meta, basis);
  return { width: meta.columns * unit.x, height: meta.rows * unit.y };
}

/** The view that shows each [meta, pane] wholly and centred. */
export function fitted(pairs, basis) {
  let scale = 0;
  for (const [meta, pane] of pairs) {
    const extent = extentOf(meta, basis);
    scale = Math.max(scale, extent.width / pane.width, extent.height / pane.height);
  }
  return { x: 0, y: 0, scale: scale || 1 };
}

/** Canvas pixel of a pane -> image pixel, for an image moved by `offset` (world units). */
export function placement(meta, basis, view, pane, offset = { x: 0, y: 0 }) {
  const unit = unitsOf(meta, basis);
  return {
    ax: view.scale / unit.x,
    bx: meta.columns / 2 + (view.x - offset.x - (pane.width / 2) * view.scale) / unit.x,
    ay: view.scale / unit.y,
    by: meta.rows / 2 + (view.y - offset.y - (pane.height / 2) * view.scale) / unit.y,
  };
}

export function paneToImage(place, point) {
  return { x: place.ax * point.x + place.bx, y: place.ay * point.y + place.by };
}

export function imageToPane(place, point) {
  return { x: (point.x - place.bx) / place.ax, y: (point.y - place.by) / place.ay };
}

export function paneToWorld(view, pane, point) {
  return { x: view.x + (point.x - pane.width / 2) * view.scale, y: view.y + (point.y - pane.height / 2) * view.scale };
}

/** Canvas pixels per image pixel (1 = one to one), along the columns. */
export function zoomOf(meta, basis, view) {
  return unitsOf(meta, basis).x / view.scale;
}

/** The view with this zoom for `meta`, about a pane point that stays where it is. */
export function zoomedTo(view, pane, point, meta, basis, zoom) {
  const bounded = Math.min(Math.max(zoom, ZOOM_LIMITS.least), ZOOM_LIMITS.most);
  const scale = unitsOf(meta, basis).x / bounded;
  const fixed = paneToWorld(view, pane, point);
  return { x: fixed.x + (view.x - fixed.x) * (scale / view.scale), y: fixed.y + (view.y - fixed.y) * (scale / view.scale), scale };
}

/** The view moved so that its centre stays on the images: nobody loses a radiograph off the edge. */
export function bounded(view, metas, basis) {
  let width = 0, height = 0;
  for (const meta of metas.filter(Boolean)) {
    const extent = extentOf(meta, basis);
    width = Math.max(width, extent.width);
    height = Math.max(height, extent.height);
  }
  const limit = (v, half) => Math.min(Math.max(v, -half), half);
  return { ...view, x: limit(view.x, width / 2), y: limit(view.y, height / 2) };
}
