/* Which part of the canvas shows what. Pure.
 *
 * A pane: {x, width, height, roles, blend}. Side by side gives two panes, the prior always on the left; without a prior its
 * pane shrinks to a strip that says so. The other modes lay both images on each other in one pane over the whole canvas.
 */

const GAP = 2;           // css pixels between the panes
const STRIP = 132;       // css pixels of the empty prior pane
const STRIP_SHARE = 0.25;

/** @param {"side"|"swipe"|"fade"|"flicker"} mode @param {{width, height, ratio}} canvas in canvas pixels, ratio = devicePixelRatio */
export function layoutPanes(mode, { width, height, ratio }, hasPrior) {
  if (mode !== "side") return [{ x: 0, width, height, roles: ["prior", "current"], blend: mode }];
  const gap = Math.round(GAP * ratio);
  const left = hasPrior ? Math.floor((width - gap) / 2) : Math.round(Math.min(STRIP * ratio, width * STRIP_SHARE));
  return [
    { x: 0, width: left, height, roles: ["prior"], blend: null },
    { x: left + gap, width: Math.max(width - left - gap, 0), height, roles: ["current"], blend: null },
  ];
}
