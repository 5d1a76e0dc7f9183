/* The history: filters above, reports below. Enter or a click opens one. It searches anew whenever it comes into sight.
 *
 * mountHistory(element, {onSearch(filters), onOpen(report_id)}) -> {update(view)}
 */

import { el, setText } from "./dom.mjs";

const STATES = [["", "all states"], ["draft", "draft"], ["reviewed", "reviewed"], ["signed", "signed"]];
const TYPING_MS = 250;

export function mountHistory(element, { onSearch = () => {}, onOpen = () => {} } = {}) {
  const page = new History(element, onSearch, onOpen);
  return Object.freeze({ update: (view) => page.update(view) });
}

class History {
  #onSearch;
  #onOpen;
  #timer = 0;
  #offset = 0;
  #body = el("tbody");
  #message = el("p", { class: "ivp-dim ivp-history-message", role: "status" });
  #pager = el("div", { class: "ivp-pager" });
  #form;

  constructor(element, onSearch, onOpen) {
    this.#onSearch = onSearch;
    this.#onOpen = onOpen;
    const state = el("select", { name: "state", "aria-label": "State" });
    state.append(...STATES.map(([key, words]) => el("option", { value: key }, words)));
    const day = (name, label) => el("label", { class: "ivp-field" }, el("span", {}, label), el("input", { type: "date", name }));
    this.#form = el("form", { class: "ivp-filters" },
      el("input", { type: "search", name: "query", placeholder: "Search report text, indication, accession", "aria-label": "Search", maxlength: 500 }),
      el("input", { type: "search", name: "patient", placeholder: "Patient name or ID", "aria-label": "Patient", maxlength: 200 }),
      state, day("since", "Changed from"), day("until", "to"),
      el("button", { type: "reset", class: "ivp-button" }, "Clear"));
    this.#form.addEventListener("input", () => { clearTimeout(this.#timer); this.#timer = setTimeout(() => this.search(0), TYPING_MS); });
    this.#form.addEventListener("reset", () => setTimeout(() => this.search(0)));
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.search(0); });
    const head = ["State", "Patient", "ID", "Study", "Report", "Changed", "Signed by"].map((words) => el("th", { scope: "col" }, words));
    element.replaceChildren(el("section", { class: "ivp-history", "aria-label": "History" }, this.#form, this.#message,
      el("div", { class: "ivp-table" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), this.#body)), this.#pager));
    new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) this.search(this.#offset); }).observe(element);
  }

  search(offset) {
    clearTimeout(this.#timer);
    this.#offset = offset;
    this.#onSearch({ ...Object.fromEntries(new FormData(this.#form)), offset });
  }

  update(view) {
    const rows = view.rows.map((row) => this.#row(row));
    this.#body.replaceChildren(...rows);
    setText(this.#message, view.message || `${view.total} report${view.total === 1 ? "" : "s"}`);
    const step = (words, offset, isOn) => el("button", { type: "button", class: "ivp-button", disabled: !isOn, onclick: () => this.search(offset) }, words);
    const isPaged = view.total > view.limit;
    this.#pager.replaceChildren(...(isPaged ? [step("Newer", Math.max(0, view.offset - view.limit), view.offset > 0), step("Older", view.offset + view.limit, view.offset + view.limit < view.total)] : []));
  }

  #row(row) {
    const open = () => this.#onOpen(row.report_id);
    const cells = [
      el("td", {}, el("span", { class: `ivp-state ivp-state--${row.state}` }, row.state)),
      el("td", {}, row.patient), el("td", { class: "ivp-nowrap" }, row.patient_id), el("td", { class: "ivp-nowrap" }, row.study),
      el("td", {}, el("div", { class: "ivp-text" }, row.demonstration ? el("span", { class: "ivp-demo", title: "Drafted by a demonstration model" }, "demo") : null, row.text || "\u2013")),
      el("td", { class: "ivp-nowrap" }, row.updated), el("td", {}, row.signer)];
    return el("tr", { tabindex: 0, role: "button", "data-report": row.report_id, "aria-label": `Open the report on ${row.patient}, ${row.study}`,
      onclick: open, onkeydown: (event) => { if (event.key === "Enter") open(); } }, ...cells);
  }
}
