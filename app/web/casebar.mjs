/* The top bar: whose case it is, which prior and why, opening, the image list, notices and questions.
 *
 * mountCaseBar(element, {onAction}) -> {update, intake}
 * Everything shown comes in through update(view); everything done goes out through onAction({action, ...}). Texts are only
 * ever set as text. Knows no server but /intake (drops) and /image/{sha}/thumbnail (small pictures).
 */

import { el, isTyping, setText } from "./dom.mjs";
import { mountIntake } from "/static/intake.mjs";
import { ImageList } from "./imagelist.mjs";

export function mountCaseBar(element, { onAction = () => {} } = {}) {
  const bar = new CaseBar(element, onAction);
  return Object.freeze({ update: (view) => bar.update(view), intake: bar.intake });
}

class CaseBar {
  #view = null;
  #act;
  #patient = el("span", { class: "ivp-patient" });
  #study = el("span", { class: "ivp-study" });
  #prior = el("span", { class: "ivp-prior" });
  #notices = el("ul", { class: "ivp-notices", "aria-live": "polite" });
  #question = el("div", { class: "ivp-question", role: "alertdialog", "aria-label": "Question", tabindex: -1, hidden: true });
  #images;
  #buttons;

  constructor(element, onAction) {
    this.#act = onAction;
    const button = (action, words, title, run) =>
      el("button", { type: "button", class: "ivp-button", "data-action": action, title, onclick: run ?? (() => this.#act({ action })) }, words);
    this.#images = new ImageList((detail) => this.#act(detail));
    this.#buttons = {
      older: button("older", "Older prior", "Step to the next older prior (G)"),
      swap: button("swap", "Swap", "Current and prior change places"),
      images: button("images", "Images", "All images of this case; who, when and which is which", () => this.#images.open(this.#view.images, this.#view)),
      phantom: button("phantom", "Try a phantom patient", "Open a synthetic patient with a prior: nobody's radiographs"),
    };
    const drop = el("div", { class: "ivp-intake" });
    const bar = el("div", { class: "ivp-bar" },
      el("div", { class: "ivp-who" }, this.#patient, el("div", { class: "ivp-sub" }, this.#study, this.#prior)),
      el("div", { class: "ivp-tools" }, this.#buttons.older, this.#buttons.swap, this.#buttons.images, drop, this.#buttons.phantom));
    element.replaceChildren(el("section", { class: "ivp-case", "aria-label": "Patient and images" }, bar, this.#question, this.#notices));
    this.intake = mountIntake(drop, { url: "/intake", onDone: (answer) => this.#act({ action: "open", intake: answer.intake }) });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  update(view) {
    this.#view = view;
    setText(this.#patient, view.open ? view.patient : "No patient open");
    this.#patient.classList.toggle("ivp-unknown", view.open && !view.identified);
    this.#study.classList.toggle("ivp-hint", !view.open);
    setText(this.#study, view.open && view.study ? `Current: ${view.study}` : view.open ? "" : "Drop a current and a prior study anywhere on this page.");
    setText(this.#prior, view.open ? view.prior : "");
    for (const line of [this.#patient, this.#study, this.#prior]) line.title = line.textContent;
    this.#buttons.older.hidden = !view.open || view.older === 0;
    setText(this.#buttons.older, `Older prior (${view.older})`);
    this.#buttons.swap.hidden = !view.swap;
    this.#buttons.images.hidden = !view.open;
    this.#buttons.phantom.hidden = view.open;
    this.#showQuestion(view.question);
    this.#showNotices(view.notices);
    this.#images.update(view);
    if (view.ask && !view.question) this.#images.open(view.images, view);
  }

  #showQuestion(question) {
    this.#question.hidden = !question;
    if (!question || this.#question.dataset.id === question.id) return;
    this.#question.dataset.id = question.id;
    this.#question.replaceChildren(el("p", {}, question.text), ...question.options.map(({ key, label }) =>
      el("button", { type: "button", class: "ivp-button", "data-option": key,
        onclick: () => this.#act({ action: "answer", question: question.id, option: key }) }, label)));
    this.#question.focus();  // not a button: a question is answered on purpose, never by a stray Enter
  }

  #showNotices(notices) {
    const rows = notices.map(({ id, text, kind }) => el("li", { class: `ivp-notice ivp-notice--${kind}`, "data-id": id },
      el("span", {}, text),
      el("button", { type: "button", class: "ivp-close", "aria-label": "Dismiss", title: "Dismiss", onclick: () => this.#act({ action: "dismiss", notice: id }) }, "\u00d7")));
    if (notices.length > 2) {
      rows.push(el("li", { class: "ivp-notice-all" },
        el("button", { type: "button", class: "ivp-button", onclick: () => this.#act({ action: "dismiss", notice: "" }) }, `Dismiss all ${notices.length}`)));
    }
    this.#notices.replaceChildren(...rows);
    this.#notices.hidden = notices.length === 0;
  }

  /** G goes to an older prior wherever the focus is, but never while somebody types. */
  #key(event) {
    if (event.key.toLowerCase() !== "g" || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event)) return;
    if (document.querySelector("dialog[open]") || !this.#view?.older) return;
    event.preventDefault();
    this.#act({ action: "older" });
  }
}
