// One rotation: its steps, Secrets Manager calls and database logins on one time axis.

import { element } from './dom.js';
import { eventsTable, kindOf } from './events_table.js';
import { causeAndRemedy, count, date, duration, shortId, timeOfDay } from './format.js';
import { hasFailed, isRunning, isTest, stepsOf } from './state.js';
import { lanes, timeAxis } from './time_axis.js';

/** The room that the duration next to a bar needs, in pixels. */
const LABEL_WIDTH = 62;
/** The minimum width of a call or login in pixels, with the gap to the next one. */
const EVENT_WIDTH = 6;

/**
 * Builds a rotation for a time axis of `width` pixels. `heading` is an element or a text. If the
 * heading does not have the start of the rotation, `startedAt` is true.
 */
export function rotationArticle(state, run, { heading, startedAt, width }) {
  const axis = timeAxis(run, width);
  const steps = stepsOf(state, run);
  return element('article', { class: 'rotation', 'data-result': resultOf(run) },
    element('header', { class: 'rotation-header' },
      element('h3', {}, heading),
      badge(run),
      element('span', { class: 'total' }, duration(run.took)),
      element('p', { class: 'facts' },
        element('span', {}, isTest(run) ? 'test by ' : 'by ', element('b', {}, run.function)),
        element('span', {}, 'version ',
          element('code', { title: run.version }, shortId(run.version))),
        startedAt && element('span', {}, 'started at ',
          element('time', { datetime: new Date(run.started * 1000).toISOString(),
            title: date(run.started) }, timeOfDay(run.started)), ' UTC'))),
    element('div', { class: 'timeline' },
      axisRow(axis),
      element('div', { class: 'grid', 'aria-hidden': 'true' },
        element('div', { class: 'track' },
          ...axis.ticks.map(({ place }) => element('i', { style: { left: percent(place) } })),
          ...axis.pauses.map(({ start, end, took }) => element('i', { class: 'pause',
            'data-tip': `Pause before the retry: ${duration(took)}`,
            style: { left: percent(start), width: percent(end - start) } })))),
      element('ol', { class: 'steps' }, ...steps.map((name) => stepRow(run, name, axis, width))),
      eventRow('Secrets Manager', 'call', run.calls, axis, width),
      eventRow('Database logins', 'login', run.logins, axis, width)),
    run.error && failure(run.error, 1),
    eventsTable(run));
}

function resultOf(run) {
  if (isRunning(run)) return 'running';
  return hasFailed(run) ? 'failed' : 'passed';
}

function badge(run) {
  const result = resultOf(run);
  const marks = { running: '●', failed: '✗', passed: '✓' };
  return element('span', { class: `badge ${result}` },
    element('span', { 'aria-hidden': 'true' }, marks[result]), ` ${run.end ?? 'running'}`);
}

function percent(fraction) {
  return `${(fraction * 100).toFixed(3)}%`;
}

function axisRow(axis) {
  return element('div', { class: 'row axis', 'aria-hidden': 'true' },
    element('span', { class: 'name' }),
    element('div', { class: 'track' },
      ...axis.ticks.filter(({ label }) => label).map(({ place, label }) =>
        element('span', { class: place === 0 ? 'tick first' : 'tick',
          style: { left: percent(place) } }, label)),
      ...axis.pauses.filter(({ hasLabel }) => hasLabel).map(({ centre, took }) =>
        element('span', { class: 'pause-label', style: { left: percent(centre) } },
          `pause ${duration(took)}`))));
}

/** Builds the row of a step, with one bar for each attempt. */
function stepRow(run, name, axis, width) {
  const attempts = run.steps.filter((step) => step.name === name);
  const last = attempts.at(-1);
  return element('li', { class: `row step ${last?.result ?? 'waiting'}`, 'data-step': name },
    element('span', { class: 'name' }, name),
    element('div', { class: 'track', role: 'img', 'aria-label': summary(attempts) },
      ...attempts.flatMap((step, place) =>
        bar(step, attempts[place - 1], attempts[place + 1], axis, width))),
    last?.did && element('p', { class: 'did' }, last.did),
    ...failures(attempts));
}

function summary(attempts) {
  if (attempts.length === 0) return 'not started';
  return attempts.map(described).join('; ');
}

function described({ attempt, result, took }) {
  const ending = { running: 'running for', passed: 'passed after', failed: 'failed after' };
  return `attempt ${attempt} ${ending[result]} ${duration(took)}`;
}

/** Builds the bar of an attempt, and its duration if there is room for it. */
function bar(step, previous, next, axis, width) {
  const start = axis.placeOf(step.from);
  const end = axis.placeOf(step.from + step.took);
  const marks = { running: '', passed: '✓ ', failed: '✗ ' };
  const text = `${marks[step.result]}${duration(step.took)}`;
  const isInside = (end - start) * width >= LABEL_WIDTH;
  const roomAfter = (next ? axis.placeOf(next.from) : 1) - end;
  const isAfter = roomAfter * width >= LABEL_WIDTH;
  // The label of the previous attempt can be in the same room.
  const roomBefore = start - (previous ? axis.placeOf(previous.from + previous.took) : 0);
  const isBefore = roomBefore * width >= LABEL_WIDTH * (previous ? 2 : 1);
  const tip = `${step.name}, ${described(step)}`;
  const created = element('span', { class: `bar ${step.result}`, 'data-tip': tip,
    'data-attempt': step.attempt,
    style: { left: percent(start), width: percent(end - start) } }, isInside && text);
  if (isInside || !(isAfter || isBefore)) return [created];
  const style = isAfter ? { left: percent(end) } : { right: percent(1 - start) };
  return [created, element('span', { class: `bar-label ${step.result}`, style }, text)];
}

/** Builds the errors of a step. An error that occurs in several attempts is shown once. */
function failures(attempts) {
  const found = new Map();
  for (const { error } of attempts) {
    if (!error) continue;
    const key = JSON.stringify(error);
    found.set(key, { error, times: (found.get(key)?.times ?? 0) + 1 });
  }
  return [...found.values()].map(({ error, times }) => failure(error, times));
}

function failure(error, times) {
  const { cause, remedy } = causeAndRemedy(error.message);
  return element('div', { class: 'failure' },
    element('p', {}, element('strong', {}, error.type),
      times > 1 && element('span', { class: 'times' }, ` in ${count(times, 'attempt')}`),
      element('span', { class: 'cause' }, cause)),
    remedy && element('p', { class: 'remedy' }, element('b', {}, 'What to do: '), remedy));
}

/** Builds the row of the calls or logins. They are listed as a table below the timeline. */
function eventRow(title, noun, events, axis, width) {
  const spans = events.map((event) =>
    ({ start: axis.placeOf(event.from), end: axis.placeOf(event.from + event.took) }));
  const { lanesOfSpans, count: laneCount } = lanes(spans, EVENT_WIDTH / width);
  const failed = events.filter((event) => kindOf(event) === 'failed').length;
  const label = count(events.length, noun) + (failed ? `, ${failed} failed` : '');
  return element('div', { class: `row events ${noun}s` },
    element('span', { class: 'name' }, title,
      element('span', { class: 'count' }, ` ${events.length}`)),
    element('div', { class: 'track', role: 'img', 'aria-label': label,
      style: { '--lanes': laneCount } },
      ...events.map((event, place) => element('span', {
        class: `event ${kindOf(event)}`,
        'data-tip': `${titleOf(event)}: ${event.error ?? 'succeeded'}, ${duration(event.took)}`,
        style: { left: percent(spans[place].start), '--lane': lanesOfSpans[place],
          width: percent(spans[place].end - spans[place].start) } }))));
}

/** Returns the title of a call or a login. */
function titleOf(event) {
  if (!event.operation) return `${event.user} at ${event.endpoint}`;
  return event.about ? `${event.operation} of ${shortId(event.about)}` : event.operation;
}
