// The calls and logins of a rotation: their kinds, and a table for those who do not hover.

import { element } from './dom.js';
import { count, duration, shortId } from './format.js';

/** The operations that change something. */
const WRITES = /^(Put|Update|Create|Delete|Cancel|Rotate|Tag|Untag|Restore|Replicate|Remove|Stop)/;

/** The error of a call that asks for a version without a value, which most rotations do. */
const NOT_FOUND = 'ResourceNotFoundException';

/** Returns the kind of a call or a login, which has a colour in the timeline. */
export function kindOf(event) {
  if (event.error === NOT_FOUND) return 'absent';
  if (event.error) return 'failed';
  if (!event.operation) return 'login';
  return WRITES.test(event.operation) ? 'write' : 'read';
}

/** Builds a disclosure with the table. */
export function eventsTable(run) {
  const events = [...run.calls.map(callRow), ...run.logins.map(loginRow)]
    .sort((first, second) => first.from - second.from);
  if (events.length === 0) return null;
  const title = `${count(run.calls.length, 'call')} and ${count(run.logins.length, 'login')}`;
  const columns = ['At', 'Step', 'Event', 'Took', 'Result'];
  return element('details', { class: 'events-table' },
    element('summary', {}, title, legend(events)),
    element('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': title },
      element('table', {},
        element('thead', {}, element('tr', {},
          ...columns.map((column) => element('th', { scope: 'col' }, column)))),
        element('tbody', {}, ...events.map((event) => row(event, run.steps))))));
}

/** Builds the meanings of the colours that occur in the timeline. */
function legend(events) {
  const names = { absent: 'not found' };
  const kinds = ['read', 'absent', 'write', 'login', 'failed'];
  const present = kinds.filter((kind) => events.some((event) => kindOf(event) === kind));
  return element('span', { class: 'legend', 'aria-hidden': 'true' }, ...present.map((kind) =>
    element('span', {}, element('i', { class: `event ${kind}` }), names[kind] ?? kind)));
}

function callRow(call) {
  return { ...call, title: call.operation, subject: call.about && shortId(call.about) };
}

function loginRow(login) {
  return { ...login, title: `Login as ${login.user}`, subject: login.endpoint };
}

function row(event, steps) {
  // A call that waits for its answer while the step ends still belongs to it.
  const step = steps.findLast(({ from }) => from <= event.from);
  return element('tr', { class: kindOf(event) },
    element('td', { class: 'number' }, duration(event.from)),
    element('td', {}, step ? nameOf(step) : ''),
    element('td', {}, event.title, event.subject && element('code', {}, ` ${event.subject}`)),
    element('td', { class: 'number' }, duration(event.took)),
    element('td', {}, event.error ?? 'succeeded'));
}

function nameOf({ name, attempt }) {
  return attempt > 1 ? `${name}, attempt ${attempt}` : name;
}
