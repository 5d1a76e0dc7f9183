/* The list of images of a case: which is current, which is the prior, and for plain pictures who and when.
 *
 * new ImageList(act): a modal dialog; act({action: "choose", sha256, role}) and act({action: "identify", patient, images}).
 */

import { el, setText } from "./dom.mjs";

const VIEWS = [["UNKNOWN", "view unknown"], ["PA", "PA"], ["AP", "AP"], ["LATERAL", "lateral"]];
const SEXES = [["", "-"], ["F", "female"], ["M", "male"], ["O", "other"]];

export class ImageList {
  #act;
  #lines = el("ul", { class: "ivp-images" });
  #form = el("form", { class: "ivp-form", method: "dialog", hidden: true });
  #intro = el("p", { class: "ivp-dim" });
  #dialog;

  constructor(act) {
    this.#act = act;
    this.#dialog = el("dialog", { class: "ivp-dialog", "aria-label": "Images of this case" },
      el("header", {}, el("h2", {}, "Images"), el("button", { type: "button", class: "ivp-button", "data-action": "close", onclick: () => this.#dialog.close() }, "Close")),
      this.#intro, this.#lines, this.#form);
    this.#form.addEventListener("submit", (event) => this.#send(event));
    document.body.append(this.#dialog);
  }

  open(images, view) {
    this.#draw(images, view);
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** New words of the server while the dialog is open: a finished choice closes it, a refused one leaves the form as typed. */
  update(view) {
    if (!this.#dialog.open) return;
    const key = JSON.stringify(view.images);
    if (this.#dialog.dataset.images !== key) this.#dialog.close();
  }

  #draw(images, view) {
    this.#dialog.dataset.images = JSON.stringify(images);
    const known = images.filter((image) => image.identified);
    const unknown = images.filter((image) => !image.identified);
    this.#lines.replaceChildren(...known.map((image) => this.#line(image)));
    this.#form.hidden = unknown.length === 0;
    setText(this.#intro, unknown.length
      ? "Plain pictures do not say whose they are or when they were made. Nothing is guessed: say which is the current one; say who and when before you sign."
      : "");
    this.#intro.hidden = !unknown.length;
    if (unknown.length) this.#drawForm(unknown, view);
  }

  #line(image) {
    const choose = (role, words) => el("button", { type: "button", class: "ivp-button", "aria-pressed": String(image.role === role), "data-role": role,
      onclick: () => this.#act({ action: "choose", sha256: image.sha256, role: image.role === role && role === "prior" ? "none" : role }) }, words);
    return el("li", { class: "ivp-image", "data-role": image.role || null },
      el("img", { src: `/image/${image.sha256}/thumbnail`, alt: "", width: 72, height: 72 }),
      el("div", { class: "ivp-image-words" }, el("strong", {}, image.title), el("span", { class: "ivp-dim" }, image.detail)),
      choose("current", "Current"), choose("prior", image.role === "prior" ? "Prior (take away)" : "Prior"));
  }

  #drawForm(images, view) {
    const field = (label, input) => el("label", { class: "ivp-field" }, el("span", {}, label), input);
    const choice = (name, options, value) => {
      const select = el("select", { name });
      select.append(...options.map(([key, words]) => el("option", { value: key, selected: key === value }, words)));
      return select;
    };
    const rows = images.map((image, n) => el("fieldset", { class: "ivp-picture", "data-sha": image.sha256 },
      el("img", { src: `/image/${image.sha256}/thumbnail`, alt: "", width: 96, height: 96 }),
      el("div", { class: "ivp-picture-fields" },
        el("strong", { class: "ivp-picture-name" }, image.detail.split(" \u00b7 ")[0]),
        field("Use as", choice(`role-${n}`, [["", "not used"], ["current", "current"], ["prior", "prior"]], image.role || (images.length === 1 && !view.images.some((i) => i.role === "current") ? "current" : ""))),
        field("Made on", el("input", { type: "date", name: `date-${n}`, value: image.acquired.slice(0, 10) })),
        field("View", choice(`view-${n}`, VIEWS, image.view)))));
    this.#form.replaceChildren(...rows,
      el("fieldset", { class: "ivp-person" }, el("legend", {}, "Patient (all pictures above)"),
        field("Patient ID", el("input", { name: "id", maxlength: 64, autocomplete: "off" })),
        field("Name", el("input", { name: "name", maxlength: 128, autocomplete: "off" })),
        field("Born", el("input", { type: "date", name: "birth_date" })),
        field("Sex", choice("sex", SEXES, "")),
        view.person.id ? el("button", { type: "button", class: "ivp-button", "data-action": "same-person", onclick: () => this.#fill(view.person) },
          "Same patient as on the screen") : null),
      el("div", { class: "ivp-form-foot" }, el("span", { class: "ivp-dim" }, "Without an ID the pictures stay \u201cnot identified\u201d: drafting works, signing and exporting do not."),
        el("button", { type: "submit", class: "ivp-button ivp-primary", "data-action": "identify" }, "Use these")));
  }

  #fill(person) {
    for (const [name, value] of Object.entries(person)) this.#form.elements[name].value = value;
  }

  #send(event) {
    event.preventDefault();
    const data = new FormData(this.#form);
    const images = [...this.#form.querySelectorAll(".ivp-picture")].map((row, n) =>
      ({ sha256: row.dataset.sha, role: data.get(`role-${n}`), date: data.get(`date-${n}`), view: data.get(`view-${n}`) }));
    const patient = Object.fromEntries(["id", "name", "birth_date", "sex"].map((name) => [name, data.get(name)]));
    this.#act({ action: "identify", form: { patient, images } });
    this.#dialog.close();
  }
}
