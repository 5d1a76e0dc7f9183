/* Making elements for the page around the viewport. Text enters as text nodes only, whatever a file or a model wrote. */

/** el("button", {class: "x", onclick: run}, "words" | node | null, …); null and false attributes are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets text only where it differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Whether a key event comes from where somebody types, inside a shadow root too: it is no shortcut then. */
export function isTyping(event) {
  return Boolean(event.composedPath()[0]?.closest?.("input, textarea, select, [contenteditable=''], [contenteditable='true']"));
}
