/* What may happen to the sentences of a report: pure functions from one list to the next.
 *
 * A sentence: {id, text, origin: "ai"|"edited"|"human", status: "unreviewed"|"accepted"|"rejected", original, flag}.
 * original holds the AI's words once they were edited; flag is a short warning or null. Lists are never changed in place.
 */

const LETTERS = "0123456789abcdefghjkmnpqrstvwxyz";

/** A sentence with every field in its place; unknown fields of the server are not kept. */
export function normal({ id, text, origin = "ai", status = "unreviewed", original = null, flag = null }) {
  return Object.freeze({ id: String(id), text: String(text ?? ""), origin, status, original: original ?? null, flag: flag || null });
}

export function areEqual(a, b) {
  return a.length === b.length && a.every((s, n) => Object.keys(s).every((key) => s[key] === b[n][key]));
}

function changed(list, id, change) {
  return list.map((s) => (s.id === id ? Object.freeze({ ...s, ...change(s) }) : s));
}

export function accept(list, id) {
  return changed(list, id, () => ({ status: "accepted" }));
}

export function reject(list, id) {
  return changed(list, id, () => ({ status: "rejected" }));
}

/** A rejected AI sentence must be read again; words of a person count as accepted because a person wrote them. */
export function restore(list, id) {
  return changed(list, id, (s) => ({ status: s.origin === "ai" ? "unreviewed" : "accepted" }));
}

/** New words. The same words as before are no change; the AI's own words make an edited sentence the AI's again. */
export function edit(list, id, text) {
  const words = oneLine(text);
  return changed(list, id, (s) => {
    if (s.origin === "human") return { text: words, status: "accepted" };
    const original = s.original ?? s.text;
    const isOriginal = words === oneLine(original);
    return { text: isOriginal ? original : words, origin: isOriginal ? "ai" : "edited", original: isOriginal ? null : original, status: "accepted" };
  });
}

/** An empty sentence of a person after `id` (null: at the end). Returns [list, new id]. */
export function addAfter(list, id) {
  const fresh = normal({ id: newId(), text: "", origin: "human", status: "accepted" });
  const at = id === null ? list.length : list.findIndex((s) => s.id === id) + 1;
  return [[...list.slice(0, at), fresh, ...list.slice(at)], fresh.id];
}

export function remove(list, id) {
  return list.filter((s) => s.id !== id);
}

/** One place up (-1) or down (+1); the same list where there is no place. */
export function move(list, id, step) {
  const from = list.findIndex((s) => s.id === id), to = from + step;
  if (from < 0 || to < 0 || to >= list.length) return list;
  const next = [...list];
  [next[from], next[to]] = [next[to], next[from]];
  return next;
}

/** What "Accept all remaining" means: unreviewed and without a warning; a warned sentence wants its own decision. */
export function remaining(list) {
  return list.filter((s) => s.status === "unreviewed" && !s.flag);
}

export function acceptRemaining(list) {
  const ids = new Set(remaining(list).map((s) => s.id));
  return list.map((s) => (ids.has(s.id) ? Object.freeze({ ...s, status: "accepted" }) : s));
}

export function countsOf(list) {
  const of = (status) => list.filter((s) => s.status === status).length;
  return { unreviewed: of("unreviewed"), accepted: of("accepted"), rejected: of("rejected"), flagged: list.filter((s) => s.flag && s.status === "unreviewed").length };
}

export function oneLine(text) {
  return text.replace(/\s+/g, " ").trim();
}

function newId() {
  const random = crypto.getRandomValues(new Uint8Array(26));
  return `h-${Array.from(random, (byte) => LETTERS[byte & 31]).join("")}`;
}
