/* Opening studies: drop files or folders anywhere on the page, or pick them; they go to the server in one request.
 *
 * mountIntake(element, {url, onDone, onError, onProgress}) -> {send, cancel, destroy}
 * Sends multipart/form-data: `files` with relative names, and `names`, the same names as JSON. Nothing of a file is put into an
 * address. XMLHttpRequest, because fetch tells nothing of the progress of an upload. What the files are is the server's matter.
 */

import { el, setText } from "./dom.mjs";
import { filesOf, pickedFiles } from "./folder_walk.mjs";
import { openShell } from "./shell.mjs";
import { count } from "./words.mjs";

const MOST_FILES = 5000;
const GENERAL = "The files could not be sent. Check that the program is still running and try again.";

export function mountIntake(element, options = {}) {
  const intake = new Intake(element, options);
  return Object.freeze({ send: (files) => intake.send(pickedFiles(files)), cancel: () => intake.cancel(), destroy: () => intake.destroy() });
}

class Intake {
  #options;
  #request = null;
  #depth = 0;
  #shells;
  #ended = new AbortController();
  #status = el("p", { class: "iv-intake-status", role: "status" });
  #bar = el("progress", { class: "iv-progress", max: 1, value: 0, hidden: true, "aria-label": "Sending the files" });
  #cancel = el("button", { type: "button", class: "iv-button", "data-action": "cancel", hidden: true, onclick: () => this.cancel() }, "Cancel");
  #overlay = el("div", { class: "iv-drop", hidden: true }, el("p", { class: "iv-drop-words" }, "Drop the current and prior study"),
    el("p", { class: "iv-dim" }, "Files, folders or zip archives"));

  constructor(element, { url = "/intake", onDone = () => {}, onError = () => {}, onProgress = () => {} }) {
    this.#options = { url, onDone, onError, onProgress };
    const [files, filesButton] = this.#picker("Open files", {});
    const [folder, folderButton] = this.#picker("Open folder", { webkitdirectory: true });
    this.root = el("div", { class: "iv-intake" }, filesButton, folderButton, files, folder, this.#bar, this.#cancel, this.#status);
    element.replaceChildren();
    this.#shells = [openShell(element), openShell(document.body)];
    this.#shells[0].content.append(this.root);
    this.#shells[1].content.append(this.#overlay);
    this.#listen();
  }

  #picker(words, attributes) {
    const input = el("input", { type: "file", multiple: true, hidden: true, tabindex: -1, "aria-label": words, ...attributes });
    input.addEventListener("change", () => {
      const files = pickedFiles(input.files);
      input.value = "";
      this.send(files);
    });
    return [input, el("button", { type: "button", class: "iv-button", onclick: () => input.click() }, words)];
  }

  /** On the whole page, before anything on it takes the drop for itself. */
  #listen() {
    const on = (name, act) => document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      act(event);
    }, { capture: true, signal: this.#ended.signal });
    on("dragenter", () => this.#show(++this.#depth > 0));
    on("dragleave", () => this.#show((this.#depth = Math.max(this.#depth - 1, 0)) > 0));
    on("dragover", (event) => { event.dataTransfer.dropEffect = this.#request ? "none" : "copy"; });
    on("drop", (event) => {
      this.#show((this.#depth = 0) > 0);
      filesOf(event.dataTransfer).then((files) => this.send(files), () => this.#fail("The dropped folder could not be read."));
    });
  }

  #show(isShown) {
    this.#overlay.hidden = !isShown;
  }

  /** @param {{file: File, name: string}[]} files */
  send(files) {
    if (this.#request) return this.#options.onError("Files are still being sent. Wait for them or cancel first.");
    if (files.length === 0) return this.#fail("Nothing to open: the drop held no files.");
    if (files.length > MOST_FILES) return this.#fail(`${files.length} files at once are too many. Drop the folder of one patient.`);
    const form = new FormData();
    for (const { file, name } of files) form.append("files", file, name);
    form.append("names", JSON.stringify(files.map(({ name }) => name)));
    this.#post(form, count(files.length, "file"));
    return undefined;
  }

  #post(form, what) {
    const request = new XMLHttpRequest();
    this.#request = request;
    this.#busy(true);
    setText(this.#status, `Sending ${what}`);
    request.upload.addEventListener("progress", (event) => this.#progress(event.lengthComputable ? event.loaded / event.total : 0, what));
    request.upload.addEventListener("load", () => this.#progress(1, what));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#fail(GENERAL));
    request.addEventListener("abort", () => this.#fail("Cancelled. Nothing was opened."));
    request.open("POST", this.#options.url);
    request.setRequestHeader("Accept", "application/json");
    request.send(form);
  }

  #progress(fraction, what) {
    this.#bar.value = fraction;
    setText(this.#status, fraction < 1 ? `Sending ${what}: ${Math.floor(fraction * 100)} %` : `Reading ${what}`);
    this.#options.onProgress(fraction);
  }

  #answered(request) {
    let answer = null;
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // an answer that is not JSON is told as a failure below
    }
    const isFine = request.status >= 200 && request.status < 300 && answer !== null;
    if (!isFine) return this.#fail(typeof answer?.message === "string" ? answer.message : GENERAL);
    this.#busy(false);
    setText(this.#status, "");
    return this.#options.onDone(answer);
  }

  #fail(message) {
    this.#busy(false);
    setText(this.#status, message);
    this.root.classList.add("iv-intake--failed");
    this.#options.onError(message);
  }

  #busy(isBusy) {
    if (!isBusy) this.#request = null;
    this.root.classList.remove("iv-intake--failed");
    this.#bar.hidden = !isBusy;
    this.#bar.value = 0;
    this.#cancel.hidden = !isBusy;
  }

  cancel() {
    this.#request?.abort();
  }

  destroy() {
    this.#ended.abort();
    this.cancel();
    for (const shell of this.#shells) shell.host.remove();
  }
}
