/* Making elements. Text always enters through textContent: whatever a file or a model wrote stays text. */

/** el("button", {class: "iv-button", "aria-pressed": "false", onclick: f}, "words" | node, …) */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets text only where it differs: no layout work for frames that change nothing. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
