/* The lines above the sentences (marks, warnings) and, below the buttons, the exported files. Texts are only set as text. */

import { el } from "./dom.mjs";

export function mountLines(element) {
  const list = el("ul", { class: "ivp-lines", "aria-live": "polite" });
  element.replaceChildren(list);
  return Object.freeze({
    update(lines) {
      list.replaceChildren(...lines.map(({ text, kind }) => el("li", { class: `ivp-line ivp-line--${kind}` }, text)));
      list.hidden = lines.length === 0;
    },
  });
}

export function mountExports(element) {
  const list = el("ul", { class: "ivp-exports", "aria-live": "polite" });
  element.replaceChildren(list);
  return Object.freeze({
    update(files) {
      list.replaceChildren(el("li", { class: "ivp-dim" }, "Saved. Download:"), ...files.map(({ name, ticket }) =>
        el("li", {}, el("a", { href: `/export/${ticket}`, download: name, title: name, class: "ivp-download" }, name.endsWith(".pdf") ? "PDF" : "text"))));
      list.hidden = files.length === 0;
    },
  });
}
