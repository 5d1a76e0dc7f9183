/* Report | Ask: the switch in the right-hand column, and the conversation about the comparison on the screen.
 *
 * mountAsk(element, {column, onAsk, onStop, onInsert, onFollow}) -> {update}. Answers enter as text, whatever a model wrote.
 * Every event names the comparison it was made on. What is typed belongs to its comparison: with another one on the screen it
 * is put aside, and comes back with it. Knows no server.
 */

import { el, setText } from "./dom.mjs";

const QUIET = "Answers are not part of the report.";
const LONGEST = 2000;

export function mountAsk(element, options) {
  const ask = new Ask(element, options);
  return Object.freeze({ update: (view) => ask.update(view) });
}

class Ask {
  #options;
  #view = null;
  #typed = new Map();   // comparison -> words that were not sent yet
  #sent = null;         // {id, question, isUnderWay}: the last question that was not taken yet
  #returned = "";       // id of the question that has been put back into the box
  #followed = "";       // id of the answer whose screens are being sent
  #rows = new Map();    // id of a turn -> {node, key}
  #report;
  #ask;
  #dot = el("span", { class: "ivp-ask-dot", hidden: true, title: "An answer is being written" });
  #mark = el("p", { class: "ivp-line ivp-ask-mark", hidden: true });
  #note = el("p", { class: "ivp-line", hidden: true });
  #empty = el("p", { class: "ivp-ask-empty" });
  #list = el("ol", { class: "ivp-turns", role: "log", "aria-label": "Questions and answers", "aria-live": "polite" });
  #problem = el("p", { class: "ivp-line ivp-line--warning", role: "alert", hidden: true });
  #suggestions = el("div", { class: "ivp-suggestions", role: "group", "aria-label": "Suggested questions" });
  #box = el("textarea", { class: "ivp-ask-box", rows: "2", maxlength: LONGEST, placeholder: "Ask about these images", "aria-label": "Your question. Enter sends, Shift and Enter begin a new line." });
  #send = el("button", { type: "button", class: "ivp-button ivp-primary ivp-ask-send", onclick: () => this.#putTyped() }, "Send");
  #stop = el("button", { type: "button", class: "ivp-button ivp-ask-stop", onclick: () => this.#stopAnswer() }, "Stop");
  #running = null;      // {id, node, text, status} of the answer that is being written

  constructor(element, options) {
    this.#options = options;
    const side = (name, words, ...more) => el("button", { type: "button", class: "ivp-side", "data-side": name, onclick: () => this.#turn(name, true) }, words, ...more);
    this.#report = side("report", "Report");
    this.#ask = side("ask", "Ask", this.#dot);
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#putTyped();
    });
    this.#box.addEventListener("input", () => this.#typedNow());
    this.panel = el("section", { class: "ivp-ask-panel", "aria-label": "Ask about these images", hidden: true },
      this.#mark, this.#note,
      el("div", { class: "ivp-ask-scroll", tabindex: "0", role: "group", "aria-label": "Conversation" }, this.#empty, this.#list), this.#problem, this.#suggestions,
      el("div", { class: "ivp-ask-foot" }, this.#box, el("div", { class: "ivp-ask-buttons" }, this.#send, this.#stop)),
      el("p", { class: "ivp-ask-quiet ivp-dim" }, QUIET));
    element.replaceChildren(el("div", { class: "ivp-sides", role: "group", "aria-label": "What this column shows" }, this.#report, this.#ask), this.panel);
    this.#turn("report", false);
  }

  // ---- from the page

  update(view) {
    const before = this.#view;
    this.#view = view;
    if (!before || before.comparison !== view.comparison) this.#another(view);
    this.#dot.hidden = !view.running;
    show(this.#mark, view.mark);
    show(this.#note, view.note);
    this.#taken(view);
    this.#drawTurns(view);
    this.#drawRunning(view.running);
    show(this.#empty, !view.comparison || view.turns.length || view.running ? "" : "Nothing has been asked about these images yet.");
    show(this.#problem, view.problem);
    this.#drawSuggestions(view);
    this.#enable();
    if (view.running && view.running.id !== this.#followed) {
      this.#followed = view.running.id;
      this.#options.onFollow();
    }
  }

  /** Another comparison came onto the screen: nothing of the one before stays, not even words in the box. */
  #another(view) {
    this.#rows.clear();
    this.#list.replaceChildren();
    this.#running = null;
    this.#sent = null;
    this.#followed = "";  // who comes back to an answer that is still being written has it sent again
    this.#box.value = this.#typed.get(view.comparison) ?? "";
  }

  /** The question was taken: the box is free again. One that could not be answered comes back into it. */
  #taken(view) {
    if (this.#sent && this.#sent.id === view.accepted) {
      if (this.#box.value === this.#sent.question) this.#setBox("");  // else it holds the next words already
      this.#sent = null;
    }
    if (view.question && view.accepted !== this.#returned) {
      this.#returned = view.accepted;
      if (!this.#box.value.trim()) this.#setBox(view.question);
    }
  }

  // ---- actions

  #turn(side, isPressed) {
    const { column } = this.#options;
    column.dataset.side = side;
    this.panel.hidden = side !== "ask";
    for (const button of [this.#report, this.#ask]) button.setAttribute("aria-pressed", String(button.dataset.side === side));
    if (side !== "ask") return;
    if (isPressed) this.#box.focus();
    this.#toEnd();
  }

  #putTyped() {
    this.#put(this.#box.value);
  }

  #put(question) {
    if (!question.trim() || !this.#canPut()) return;
    const sent = { id: crypto.randomUUID(), question, isUnderWay: true };
    this.#sent = sent;
    this.#options.onAsk({ id: sent.id, comparison: this.#view.comparison, question });
    this.#enable();
    this.#box.focus();
    // A question that was refused is still in the box, and can be sent again after a moment.
    setTimeout(() => { sent.isUnderWay = false; this.#enable(); }, 3000);
  }

  #canPut() {
    return Boolean(this.#view?.can_ask) && !this.#sent?.isUnderWay;
  }

  #stopAnswer() {
    this.#stop.disabled = true;
    this.#options.onStop({ comparison: this.#view.comparison });
    this.#box.focus();
  }

  async #copy(text, button) {
    let words = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      words = "Not copied";
    }
    setText(button, words);
    setTimeout(() => setText(button, "Copy"), 1500);
  }

  #typedNow() {
    if (this.#view) this.#typed.set(this.#view.comparison, this.#box.value);
    this.#enable();
  }

  #setBox(words) {
    this.#box.value = words;
    this.#typedNow();
  }

  // ---- drawing

  #enable() {
    const { running, comparison } = this.#view ?? {};
    this.#box.disabled = !comparison;
    this.#send.disabled = !this.#canPut() || !this.#box.value.trim();
    this.#send.hidden = Boolean(running);
    this.#stop.hidden = !running;
    if (!running) this.#stop.disabled = false;
    for (const button of this.#suggestions.children) button.disabled = !this.#canPut();
  }

  #drawSuggestions({ suggestions, comparison, running }) {
    this.#suggestions.hidden = !comparison || Boolean(running) || !suggestions.length;
    const key = JSON.stringify(suggestions);
    if (this.#suggestions.dataset.key === key) return;
    this.#suggestions.dataset.key = key;
    this.#suggestions.replaceChildren(...suggestions.map((words) =>
      el("button", { type: "button", class: "ivp-suggestion", onclick: () => this.#put(words) }, words)));
  }

  #drawTurns({ turns, can_insert: canInsert }) {
    let isNew = false;
    for (const turn of turns) {
      const key = JSON.stringify([turn, canInsert]), row = this.#rows.get(turn.id);
      if (row?.key === key) continue;
      const node = this.#turnRow(turn, canInsert);
      if (row) this.#replace(row.node, node);
      else this.#list.insertBefore(node, this.#running?.node ?? null);
      isNew ||= !row;
      this.#rows.set(turn.id, { node, key });
    }
    if (isNew) this.#toEnd();
  }

  /** A press of Insert draws its row anew: the keyboard stays in it. */
  #replace(before, node) {
    const hadFocus = before.contains(document.activeElement);
    before.replaceWith(node);
    if (hadFocus) node.querySelector("button:not([disabled])")?.focus();
  }

  #turnRow(turn, canInsert) {
    const { question, answer, warnings, remarks, state } = turn;
    const copy = el("button", { type: "button", class: "ivp-button ivp-small", onclick: () => this.#copy(answer, copy) }, "Copy");
    const words = { whole: "Insert into report", inserted: "In the report", stopped: "", empty: "" }[state];
    const insert = words && el("button", { type: "button", class: "ivp-button ivp-small", "data-action": "insert", disabled: state === "inserted" || !canInsert,
      title: state === "inserted" ? "Its sentences are in the report, to be reviewed there" : canInsert ? "As sentences of the model, to be reviewed" : "There is no open report on these images",
      onclick: () => this.#options.onInsert({ answer: turn.id, comparison: this.#view.comparison }) }, words);
    return el("li", { class: "ivp-turn", "data-state": state },
      el("p", { class: "ivp-asked" }, el("span", { class: "ivp-hidden" }, "You asked: "), question),
      answer ? el("p", { class: "ivp-answer" }, el("span", { class: "ivp-hidden" }, "The model answered: "), answer) : null,
      ...warnings.map((words) => el("p", { class: "ivp-turn-note" }, words)),
      ...remarks.map((words) => el("p", { class: "ivp-turn-note ivp-dim" }, words)),
      el("div", { class: "ivp-turn-buttons" }, insert || null, answer ? copy : null));
  }

  #drawRunning(running) {
    this.#list.setAttribute("aria-busy", String(Boolean(running)));
    if (this.#running && this.#running.id !== running?.id) {
      this.#running.node.remove();
      this.#running = null;
    }
    if (!running) return;
    if (!this.#running) {
      const text = el("span", {}), status = el("p", { class: "ivp-turn-note ivp-dim" });
      const node = el("li", { class: "ivp-turn", "data-state": "running" }, el("p", { class: "ivp-asked" }, running.question),
        el("p", { class: "ivp-answer" }, text, el("span", { class: "ivp-caret", "aria-hidden": "true" })), status);
      this.#list.append(node);
      this.#running = { id: running.id, node, text, status };
      this.#toEnd();
    }
    const isAtEnd = this.#isAtEnd();
    setText(this.#running.text, running.text);
    setText(this.#running.status, running.status);
    if (isAtEnd) this.#toEnd();
  }

  /** Whether the reader sees the end of the conversation: who has scrolled back is left there. */
  #isAtEnd() {
    const box = this.#list.parentElement;
    return box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  }

  #toEnd() {
    const box = this.#list.parentElement;
    box.scrollTop = box.scrollHeight;
  }
}

function show(node, words) {
  setText(node, words);
  node.hidden = !words;
}
