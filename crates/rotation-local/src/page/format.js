// Formats durations, dates and names.

/** Formats a duration in milliseconds: `0.4 ms`, `78 ms`, `1.25 s` or `2 min 5 s`. */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${Number(milliseconds.toFixed(1))} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 100) return `${Number(seconds.toFixed(seconds < 10 ? 2 : 1))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Formats seconds since 1970 as a date in UTC: `2026-11-22 10:55:04 UTC`. */
export function date(seconds) {
  const text = new Date(seconds * 1000).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** Formats a rotation window: `2026-12-02 10:00 to 11:00 UTC`. */
export function timeWindow({ opens, closes }) {
  const [from, to] = [date(opens), date(closes)];
  const isOneDay = from.slice(0, 10) === to.slice(0, 10);
  return `${from.slice(0, 16)} to ${isOneDay ? to.slice(11, 16) : to.slice(0, 16)} UTC`;
}

/** Formats seconds since 1970 as a time of day in UTC: `10:55:04`. */
export function timeOfDay(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 19);
}

/** Returns the beginning of a version id, which is enough to recognize it. */
export function shortId(id) {
  return id.length > 13 ? `${id.slice(0, 8)}…` : id;
}

/** Returns the name of a function: the last part of its ARN. */
export function functionName(arn) {
  return arn.split(':').pop();
}

/** Formats a number with a noun: `1 call`, `2 calls`. */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Splits an error message into its cause and its remedy. */
export function causeAndRemedy(message) {
  const [cause, ...remedy] = message.split('What to do: ');
  // The page shows the step and the secret next to the message.
  const shortened = cause.trim().replace(/^\w+ of arn:\S+ failed: /, '');
  return { cause: capitalized(shortened), remedy: remedy.join('What to do: ').trim() };
}

function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
