// The list of secrets, and its filters.

import { element, reconcile, setText } from './dom.js';
import { functionName, timeOfDay } from './format.js';
import {
  STATES, hasFailed, isRunning, lastError, nextWindow, rotationsOf, statesOf,
} from './state.js';

const CREATE = 'aws secretsmanager create-secret --name NAME --secret-string …';

/** Creates the buttons of the state filter, and calls `onChange` when a filter changes. */
export function createFilters(form, onChange) {
  const states = form.querySelector('fieldset');
  for (const [name, title] of [['all', 'All'], ...Object.entries(STATES).map(titled)]) {
    states.append(element('label', { class: 'state' },
      element('input', { type: 'radio', name: 'state', value: name, checked: name === 'all' }),
      element('span', {}, title, element('span', { class: 'count', 'data-count': name }))));
  }
  form.addEventListener('input', onChange);
  form.addEventListener('submit', (event) => event.preventDefault());
}

function titled([name, { title }]) {
  return [name, title];
}

/** Returns true if the text of the filter is in the secret's name, description or function. */
function hasText(secret, text) {
  const { name, description, region, rotation } = secret;
  const fields = [name, description ?? '', region, functionName(rotation?.function ?? '')];
  const words = text.toLowerCase().split(/\s+/);
  const all = fields.join('\n').toLowerCase();
  return words.every((word) => all.includes(word));
}

/** Shows the secrets that match the filters. */
export function updateSecretList(state, opened) {
  const text = document.getElementById('filter').value.trim();
  const wanted = document.querySelector('input[name=state]:checked').value;
  const found = state.secrets
    .filter((secret) => hasText(secret, text))
    .map((secret) => ({ secret, states: statesOf(state, secret) }));
  for (const target of document.querySelectorAll('[data-count]')) {
    const name = target.dataset.count;
    const isIn = ({ states }) => name === 'all' || states.includes(name);
    setText(target, ` ${found.filter(isIn).length}`);
  }
  const shown = found.filter(({ states }) => wanted === 'all' || states.includes(wanted));
  const items = shown.map(({ secret }) => item(state, secret, opened));
  reconcile(document.getElementById('secret-list'), items, { key: ({ arn }) => arn, build: link });
  setText(document.getElementById('secret-count'), String(state.secretCount));
  const hint = document.getElementById('no-secrets');
  hint.hidden = shown.length > 0 && state.secretCount <= state.secrets.length;
  if (!hint.hidden) hint.replaceChildren(...explain(state, shown.length));
}

function explain(state, shown) {
  if (state.secretCount === 0) {
    return ['No secrets yet. To create one: ', element('code', {}, CREATE)];
  }
  if (shown === 0) return ['No secret matches the filters.'];
  return [`This list has the first ${state.secrets.length} of ${state.secretCount} secrets.`];
}

/** Returns what the list shows of a secret. */
function item(state, secret, opened) {
  const newest = rotationsOf(state, secret.arn)[0];
  return {
    arn: secret.arn, name: secret.name, region: secret.region, isOpen: secret.arn === opened,
    ...activity(secret, newest),
  };
}

/** Returns the state of a secret in a few words. */
function activity(secret, newest) {
  if (secret.isMarkedForDeletion) return { kind: 'failed', text: 'marked for deletion' };
  if (newest && isRunning(newest)) {
    const step = newest.steps.at(-1);
    const name = step?.attempt > 1 ? `${step.name}, attempt ${step.attempt}` : step?.name;
    return { kind: 'running', text: name ?? 'rotating' };
  }
  if (newest && hasFailed(newest)) {
    return { kind: 'failed', text: lastError(newest)?.type ?? newest.end };
  }
  if (newest) {
    const ended = timeOfDay(newest.started + newest.took / 1000);
    return { kind: 'passed', text: `rotated at ${ended} UTC` };
  }
  if (secret.primary) return { kind: 'idle', text: 'replica' };
  return { kind: 'idle', text: nextWindow(secret) ? 'scheduled' : 'not rotated' };
}

function link({ arn, name, region, isOpen, kind, text }) {
  const at = name.lastIndexOf('/') + 1;
  return element('li', {},
    element('a', { class: `secret ${kind}`, href: `#secret=${encodeURIComponent(arn)}`,
      'aria-current': isOpen && 'true' },
    element('span', { class: 'secret-name' }, name.slice(0, at), element('b', {}, name.slice(at))),
    element('span', { class: 'secret-state' },
      element('span', { class: 'dot', 'aria-hidden': 'true' }),
      element('span', { class: 'what' }, text), element('span', { class: 'region' }, region))));
}
