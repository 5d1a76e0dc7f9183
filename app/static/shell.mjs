/* A shadow tree for each module: the page's style sheets stop at its border.
 *
 * Frameworks recolour every element below them; a CURRENT label or a patient's name in the colour of its ground must not be
 * possible. Contents stay hidden until interval.css is there, so that nothing is ever seen or measured unstyled.
 */

import { el } from "./dom.mjs";

/** Appends a shell to parent: {host, content}; what a module draws goes into content. */
export function openShell(parent) {
  const host = el("div", { class: "iv-shell" });
  const content = el("div", { class: "iv-content", hidden: true });
  const styles = el("link", { rel: "stylesheet", href: new URL("./interval.css", import.meta.url).href });
  for (const done of ["load", "error"]) styles.addEventListener(done, () => { content.hidden = false; });
  host.attachShadow({ mode: "open" }).append(styles, content);
  parent.append(host);
  return { host, content };
}

/** The element with the focus, through all shadow borders. */
export function focusedElement() {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return node;
}

/** Typing here must never be taken for a shortcut, nor lose the focus to a pane. */
export function isTyping() {
  return Boolean(focusedElement()?.closest("input, textarea, select, [contenteditable=''], [contenteditable='true']"));
}
