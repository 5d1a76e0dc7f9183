/* Which screen the page shows, and who shows which part of it.
 *
 * Answers of the server can overtake each other on their way. Each of them brings a whole screen, and one that is older than
 * what is shown would hide what has been done since: a signature, for example. So screens are numbered, and only a newer one
 * is shown. Knows no server and no widget: a part is shown by whoever has asked for it, the widgets by what takes `updates`.
 */

let newest = null;
let turned = null;       // the sheet whose text is in the fields
let painted = [];
const parts = new Map(); // name -> {show, shown}

/** Shows a screen {number, sheet, page, parts, controls, fields} if it is newer than the one shown; says whether it was. */
export function receive(screen) {
  if (newest && screen.number <= newest.number) return false;
  newest = screen;
  if (screen.page) sessionStorage.setItem("interval.page", screen.page);
  for (const part of parts.keys()) bring(part);
  return true;
}

/** From now on show(value) is called with every new value of the part. */
export function onPart(name, show) {
  parts.set(name, { show, shown: "" });
  if (newest) bring(name);
}

function bring(name) {
  const part = parts.get(name), value = newest.parts[name], text = JSON.stringify(value);
  if (text === part.shown) return;
  part.shown = text;
  try {
    part.show(value);
  } catch (error) {
    reportError(error);  // the other parts are shown all the same
  }
}

/** The sheet that the page shows: everything done on it is sent with this number. */
export function sheet() {
  return newest?.sheet ?? 0;
}

/** What has changed for the widgets, controls first, then text fields, as Gradio takes it. A field gets its text when another
 * sheet is shown and never on the same one, where the words are the reader's. */
export function updates() {
  const isTurned = newest.sheet !== turned;
  const wanted = [...newest.controls, ...newest.fields.map(({ state }) => state)].map((state) => JSON.stringify(state));
  const values = [...newest.controls.map(() => ({})), ...newest.fields.map(({ value }) => (isTurned ? { value } : {}))];
  const changes = wanted.map((state, n) => ({ __type__: "update", ...(state === painted[n] ? {} : JSON.parse(state)), ...values[n] }));
  [painted, turned] = [wanted, newest.sheet];
  return changes;
}
