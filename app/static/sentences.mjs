/* The report editor: a list of sentences that are accepted, edited, rejected or added one by one.
 *
 * mountSentences(element, {title, onChange, onStop}) -> {update, sentences, counts, editing, commit, destroy}
 * Four faces, chosen by update({mode}): "empty", "stream" (the draft as it is written, nothing to act on), "edit", "signed".
 * The rules are in sentence_rules.mjs, the rows in sentence_row.mjs. Knows no server: every action is told to onChange.
 */

import { el, setText } from "./dom.mjs";
import * as rules from "./sentence_rules.mjs";
import { editRow, sentenceRow } from "./sentence_row.mjs";
import { focusedElement, openShell } from "./shell.mjs";

export function mountSentences(element, options = {}) {
  const editor = new Editor(element, options);
  return Object.freeze({
    update: (state) => editor.update(state),
    sentences: () => editor.list.map((s) => ({ ...s })),
    counts: () => rules.countsOf(editor.list),
    editing: () => editor.isEditing,
    commit: () => editor.commit(),
    destroy: () => editor.shell.host.remove(),
  });
}

class Editor {
  list = [];
  #mode = "empty";
  #current = null;      // id of the sentence with the keyboard
  #edit = null;         // {id, isNew, box}
  #options;
  #items = el("ol", { class: "iv-sentences" });
  #count = el("p", { class: "iv-counts", role: "status" });
  #note = el("p", { class: "iv-note" });
  #streamText = el("span", { class: "iv-stream-text" });
  #streamStatus = el("span", { class: "iv-stream-status", role: "status" });
  #acceptAll;
  #add;
  #stop;
  #stream;

  constructor(element, { title = "Findings", onChange = () => {}, onStop = () => {} }) {
    this.#options = { onChange, onStop };
    const button = (name, words, run) => el("button", { type: "button", class: "iv-button", "data-action": name, onclick: run }, words);
    this.#acceptAll = button("accept-all", "", () => this.#acceptRemaining());
    this.#add = button("add-last", "Add sentence", () => this.#addAfter(null));
    this.#stop = button("stop", "Stop", () => { this.#stop.disabled = true; onStop(); });
    this.#stream = el("div", { class: "iv-stream" }, el("p", { class: "iv-stream-words" }, this.#streamText, el("span", { class: "iv-caret", "aria-hidden": "true" })),
      el("div", { class: "iv-stream-foot" }, this.#streamStatus, this.#stop));
    this.root = el("section", { class: "iv-report", "aria-label": title },
      el("header", { class: "iv-report-head" }, el("h2", { class: "iv-report-title" }, title), this.#count, this.#acceptAll),
      this.#note, this.#stream, this.#items, this.#add);
    this.#items.addEventListener("keydown", (event) => this.#key(event));
    this.#items.addEventListener("focusin", (event) => this.#focused(event));
    element.replaceChildren();
    this.shell = openShell(element);
    this.shell.content.append(this.root);
    this.#render();
  }

  get isEditing() {
    return this.#edit !== null;
  }

  // ---- from the page

  update({ mode = "edit", sentences = [], text = "", status = "", note = "" } = {}) {
    if (mode === "stream") return this.#showStream(text, status);
    const list = mode === "empty" ? [] : sentences.map(rules.normal);
    setText(this.#note, note);
    if (mode === this.#mode && rules.areEqual(list, this.#withoutNew())) return undefined;
    const edit = this.#edit;
    const isKept = edit && !edit.isNew && mode === "edit" && this.#isSame(list, edit.id);
    const draft = isKept ? edit.box.value : null;
    Object.assign(this, { list });
    this.#mode = mode;
    this.#edit = null;
    if (!list.some((s) => s.id === this.#current)) this.#current = list[0]?.id ?? null;
    if (isKept) this.#edit = { id: edit.id, isNew: false, draft };
    this.#render();
    return undefined;
  }

  /** The list as the page knows it: a sentence that is being added is not in it until it has words. */
  #withoutNew() {
    return this.#edit?.isNew ? rules.remove(this.list, this.#edit.id) : this.list;
  }

  #isSame(list, id) {
    const [before, after] = [this.list, list].map((l) => l.find((s) => s.id === id));
    return Boolean(before && after && rules.areEqual([before], [after]));
  }

  #showStream(text, status) {
    if (this.#mode !== "stream") {
      this.#mode = "stream";
      this.list = [];
      this.#edit = null;
      this.#stop.disabled = false;
      setText(this.#note, "");
      this.#render();
    }
    setText(this.#streamText, text);
    setText(this.#streamStatus, status || (text ? "Drafting" : "Starting"));
  }

  /** Closes an open edit, keeping its words. */
  commit() {
    if (this.#edit) this.#endEdit(this.#edit.box.value);
    return this.list.map((s) => ({ ...s }));
  }

  // ---- actions

  #change(list, type, ids) {
    if (list === this.list) return;
    this.list = list;
    this.#render();
    this.#options.onChange(list.map((s) => ({ ...s })), { type, ids });
  }

  #act(name, id) {
    const sentence = this.list.find((s) => s.id === id);
    if (!sentence || this.#mode !== "edit") return;
    if (this.#edit && this.#edit.id !== id) this.commit();
    this.#current = id;
    if (name === "accept" && sentence.status === "unreviewed") this.#change(rules.accept(this.list, id), "accept", [id]);
    else if (name === "reject" && sentence.status !== "rejected") this.#change(rules.reject(this.list, id), "reject", [id]);
    else if (name === "restore" && sentence.status === "rejected") this.#change(rules.restore(this.list, id), "restore", [id]);
    else if (name === "edit" && sentence.status !== "rejected") this.#beginEdit(id, false);
    else if (name === "add") this.#addAfter(id);
  }

  #acceptRemaining() {
    this.commit();
    const ids = rules.remaining(this.list).map((s) => s.id);
    this.#change(rules.acceptRemaining(this.list), "accept-all", ids);
  }

  #addAfter(id) {
    this.commit();
    const [list, fresh] = rules.addAfter(this.list, id);
    this.list = list;
    this.#beginEdit(fresh, true);
  }

  #move(id, step) {
    this.#change(rules.move(this.list, id, step), "move", [id]);
    this.#focusCurrent();
  }

  #beginEdit(id, isNew) {
    this.#edit = { id, isNew };
    this.#current = id;
    this.#render();
    this.#edit.box.focus();
    this.#edit.box.setSelectionRange(this.#edit.box.value.length, this.#edit.box.value.length);
  }

  /** text null discards. Emptied words remove a person's sentence and leave an AI sentence as it was. */
  #endEdit(text) {
    const { id, isNew } = this.#edit;
    const sentence = this.list.find((s) => s.id === id);
    const words = text === null ? null : rules.oneLine(text);
    this.#edit = null;
    const isGone = isNew ? !words : words === "" && sentence.origin === "human";
    if (isGone) {
      const place = this.list.findIndex((s) => s.id === id);
      const list = rules.remove(this.list, id);
      this.#current = list[Math.max(place - 1, 0)]?.id ?? null;
      if (isNew) { this.list = list; this.#render(); } else this.#change(list, "remove", [id]);
    } else if (isNew) this.#change(rules.edit(this.list, id, words), "add", [id]);
    else if (words && words !== sentence.text) this.#change(rules.edit(this.list, id, words), "edit", [id]);
    else if (words && sentence.status === "unreviewed") this.#change(rules.accept(this.list, id), "accept", [id]);
    else this.#render();
    this.#focusCurrent();
  }

  // ---- keyboard

  #key(event) {
    const id = event.target.closest(".iv-sentence")?.dataset.id;
    if (!id || this.#mode !== "edit" || event.ctrlKey || event.metaKey || event.target.closest("textarea")) return;
    if (event.target.closest("button") && ["Enter", " "].includes(event.key)) return;
    const sentence = this.list.find((s) => s.id === id);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const act = { a: "accept", e: "edit", Enter: "edit", r: sentence.status === "rejected" ? "restore" : "reject", "+": "add" }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (step && event.altKey) this.#move(id, step);
    else if (step) this.#step(id, step);
    else if (act && !event.altKey) this.#act(act, id);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (act && act !== "edit" && act !== "add") this.#focusCurrent();
  }

  #step(id, step) {
    const next = this.list[this.list.findIndex((s) => s.id === id) + step];
    if (!next) return;
    this.#current = next.id;
    this.#focusCurrent();
  }

  #focused(event) {
    const id = event.target.closest(".iv-sentence")?.dataset.id;
    if (!id || id === this.#current) return;
    this.#current = id;
    for (const item of this.#items.children) item.tabIndex = item.dataset.id === id ? 0 : -1;
  }

  #focusCurrent() {
    [...this.#items.children].find((item) => item.dataset.id === this.#current)?.focus();
  }

  // ---- drawing

  #render() {
    const hadFocus = this.#items.contains(focusedElement());
    const isEdit = this.#mode === "edit";
    this.root.dataset.mode = this.#mode;
    this.#stream.hidden = this.#mode !== "stream";
    this.#items.hidden = this.#mode === "stream";
    this.#add.hidden = !isEdit;
    this.#current ??= this.list[0]?.id ?? null;
    let grow = null;
    this.#items.replaceChildren(...this.list.map((sentence, n) => {
      if (this.#edit?.id !== sentence.id) {
        return sentenceRow(sentence, { act: (name, id) => this.#act(name, id), isReadOnly: !isEdit, isCurrent: sentence.id === this.#current, position: n + 1 });
      }
      const made = editRow(sentence, { done: (text) => this.#endEdit(text), draft: this.#edit.draft });
      this.#edit.box = made.box;
      grow = made.grow;
      return made.row;
    }));
    grow?.();
    this.#renderCounts(isEdit);
    if (hadFocus && this.#edit) this.#edit.box.focus();
    else if (hadFocus) this.#focusCurrent();
  }

  #renderCounts(isEdit) {
    const { unreviewed, flagged } = rules.countsOf(this.list);
    const remaining = rules.remaining(this.list).length;
    const words = unreviewed ? `${unreviewed} of ${this.list.length} to review${flagged ? `, ${flagged} with a warning` : ""}` : this.list.length ? "All reviewed" : "";
    setText(this.#count, isEdit ? words : "");
    this.#acceptAll.hidden = !isEdit || remaining === 0;
    setText(this.#acceptAll, `Accept all remaining (${remaining})`);
  }
}
