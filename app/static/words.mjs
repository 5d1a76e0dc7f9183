/* What the panes say about an image, as plain strings: person names, dates, the age of a prior, lengths. Pure. */

const DAY = 86_400_000;

/** DICOM person name "DOE^JANE^M^^DR" -> "DOE, JANE M". */
export function personName(name) {
  const [family = "", ...given] = String(name ?? "").split("=")[0].split("^").map((part) => part.trim());
  const rest = given.slice(0, 2).filter(Boolean).join(" ");
  return [family, rest].filter(Boolean).join(", ");
}

/** Two lines: who this is. A plain picture knows nothing and says so. */
export function whoWords({ patient }) {
  const name = personName(patient?.name);
  const id = String(patient?.id ?? "").trim();
  if (!name && !id) return ["Patient not stated"];
  return [name || "Name not stated", id ? `ID ${id}` : "ID not stated"];
}

/** "2023-05-01 10:20"; midnight is a date without a time; null is said. */
export function dateWords({ acquired, date_reliable: reliable }) {
  if (!acquired) return "Date unknown";
  const [day, time = ""] = String(acquired).split("T");
  const shown = time && !time.startsWith("00:00:00") ? `${day} ${time.slice(0, 5)}` : day;
  return reliable === false ? `${shown}  date not reliable` : shown;
}

/** Lines of the "when" corner: date, view (a slice of CT has none), study. */
export function whenWords(meta) {
  const view = meta.modality === "CT" ? "CT slice" : !meta.view || meta.view === "UNKNOWN" ? "View unknown" : meta.view;
  return [dateWords(meta), view, String(meta.study_description ?? "").trim()].filter(Boolean);
}

/**
 * How much older the prior is: {text, wrong}. No interval is computed from dates that are missing or not reliable;
 * wrong is true where the "prior" is the newer one.
 */
export function ageWords(prior, current) {
  if (!prior.acquired || !current.acquired) return { text: "interval unknown", wrong: false };
  if (prior.date_reliable === false || current.date_reliable === false) return { text: "interval unknown: date not reliable", wrong: false };
  const days = (midnight(current.acquired) - midnight(prior.acquired)) / DAY;
  if (days === 0) return sameDay(prior.acquired, current.acquired);
  if (days < 0) return { text: `${count(-days, "day")} AFTER current`, wrong: true };
  const years = days >= 730 ? ` (${(days / 365.25).toFixed(1)} years)` : "";
  return { text: `${count(days, "day")}${years} before current`, wrong: false };
}

function sameDay(prior, current) {
  const minutes = minuteOf(current) - minuteOf(prior);
  if (!minutes || !minuteOf(prior) || !minuteOf(current)) return { text: "same day as current", wrong: false };
  const span = Math.abs(minutes) >= 60 ? `${Math.floor(Math.abs(minutes) / 60)} h ${Math.abs(minutes) % 60} min` : `${Math.abs(minutes)} min`;
  return minutes > 0 ? { text: `${span} before current`, wrong: false } : { text: `${span} AFTER current`, wrong: true };
}

function midnight(iso) {
  const [year, month, day] = iso.slice(0, 10).split("-").map(Number);
  return Date.UTC(year, month - 1, day);
}

function minuteOf(iso) {
  const [hour = 0, minute = 0] = (iso.split("T")[1] ?? "").split(":").map(Number);
  return hour * 60 + minute;
}

export function count(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** "34 %"; fractions only where they tell. */
export function zoomWords(zoom) {
  const percent = zoom * 100;
  return `${percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** True where both images name a patient and the two names cannot be one person: different id, or the same id of different issuers. */
export function arePatientsDifferent(a, b) {
  const id = (meta) => String(meta.patient?.id ?? "").trim();
  const issuer = (meta) => String(meta.patient?.issuer ?? "").trim();
  if (!id(a) || !id(b)) return false;
  if (id(a) !== id(b)) return true;
  return Boolean(issuer(a) && issuer(b) && issuer(a) !== issuer(b));
}

const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };

/** What is at the edges of a picture whose rows and columns run to these sides of the patient: {left, right, top, bottom}.
 * @param {string[] | undefined} orientation such as ["L", "F"]; nothing is said of letters that DICOM does not know */
export function edgeLetters(orientation) {
  const [row, column] = orientation ?? [];
  if (![row, column].every((letters) => letters && [...letters].every((letter) => letter in OPPOSITE))) return {};
  const opposite = (letters) => [...letters].map((letter) => OPPOSITE[letter]).join("");
  return { left: opposite(row), right: row, top: opposite(column), bottom: column };
}
