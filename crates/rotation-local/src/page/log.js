// The log lines of the functions. Structured lines are shown in columns.

import { element, reconcile } from './dom.js';
import { duration } from './format.js';

/** The maximum number of lines that the page shows. */
const MAX_LINES = 300;

/** Shows the log lines: all of them, or those of one secret and those of no secret. */
export function updateLog(list, lines, arn) {
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
  const parsed = lines.map(parse).filter(({ secret }) => !arn || !secret || secret === arn);
  const items = parsed.slice(-MAX_LINES).map((line, place) => ({ ...line, place }));
  reconcile(list, items, { key: ({ place }) => place, build: row });
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
  document.getElementById('no-log').hidden = items.length > 0;
  list.hidden = items.length === 0;
}

/** Reads the columns of a line. A line that is not JSON has only a text. */
function parse({ function: name, line }) {
  let record;
  try { record = JSON.parse(line); } catch { record = null; }
  if (record === null || typeof record !== 'object') return { name, text: line };
  if (record._aws) return metrics(name, record);
  if (typeof record.message !== 'string') return { name, text: line };
  return {
    name,
    time: timeOf(record.timestamp),
    level: record.level,
    step: record.span?.step,
    secret: record.span?.secret,
    text: record.message,
  };
}

/** Reads a line in CloudWatch's embedded metric format. */
function metrics(name, record) {
  const { Step: step, Outcome: outcome, ErrorType: errorType, SecretId: secret } = record;
  const took = typeof record.Duration === 'number' ? duration(record.Duration) : '';
  const text = ['metrics:', outcome, errorType, took, record.Engine, record.Strategy];
  const time = timeOf(new Date(record._aws.Timestamp ?? 0).toISOString());
  return { name, time, level: 'METRIC', step, secret, text: text.filter(Boolean).join(' ') };
}

function timeOf(timestamp) {
  return typeof timestamp === 'string' ? timestamp.slice(11, 23) : undefined;
}

function row({ name, time, level, step, text }) {
  return element('li', { class: level ? `line ${String(level).toLowerCase()}` : 'line' },
    element('span', { class: 'origin' },
      time && element('span', { class: 'time' }, time),
      element('span', { class: 'function' }, name),
      step && element('span', { class: 'step-name' }, step)),
    element('span', { class: 'text' }, text));
}
