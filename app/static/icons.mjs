/* The tool bar's pictures: 20 x 20 line drawings, stroked in the text colour. Path data only. */

import { svg } from "./dom.mjs";

const PATHS = {
  "mode-side": "M2.5 4.5h15v11h-15z M10 4.5v11",
  "mode-swipe": "M2.5 4.5h15v11h-15z M12 2.5v15 M5.5 10h3 M15.5 10h-1",
  "mode-fade": "M2.5 3.5h10v9h-10z M7.5 7.5h10v9h-10z",
  "mode-flicker": "M3 8a7 7 0 0 1 12.5-2.5 M16 2.5v3.5h-3.5 M17 12a7 7 0 0 1-12.5 2.5 M4 17.5V14h3.5",
  "tool-window": "M10 3a7 7 0 1 0 0 14z M10 3a7 7 0 0 1 0 14",
  "tool-pan": "M10 2.5v15 M2.5 10h15 M7.5 5L10 2.5 12.5 5 M7.5 15l2.5 2.5 2.5-2.5 M5 7.5L2.5 10 5 12.5 M15 7.5l2.5 2.5-2.5 2.5",
  "tool-length": "M3 14.5L14.5 3l2.5 2.5L5.5 17z M6.5 11l1.5 1.5 M9 8.5l2 2 M11.5 6l1.5 1.5",
  "tool-ctr": "M2.5 3.5v13 M17.5 3.5v13 M4 6.5h12 M7 13h6 M7 11.5v3 M13 11.5v3",
  invert: "M3 3h14v14H3z M3 17L17 3 M12 12.5h3",
  fit: "M3 7V3h4 M13 3h4v4 M17 13v4h-4 M7 17H3v-4",
  "one-to-one": "M5 6.5L6.5 5.5v9 M13.5 6.5L15 5.5v9 M10 8v.2 M10 12v.2",
  reset: "M4 10a6 6 0 1 1 2 4.5 M4 15.5V11h4.5",
  link: "M8.5 11.5l3-3 M7 9.5L4.800 11.700a2.5 2.5 0 0 0 3.5 3.5L10.5 13 M13 10.5l2.2-2.2a2.5 2.5 0 0 0-3.5-3.5L9.5 7",
  "lut-off": "M3 17C8 17 8 3 17 3 M4 4l12 12",
  help: "M7 7.5a3 3 0 1 1 4.2 2.700c-.8.4-1.2.9-1.2 1.800v.5 M10 15.5v.2",
};

export function icon(name) {
  return svg("svg", { class: "iv-icon", viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}
