// The opened secret: its configuration and its versions.

import { element, reconcile } from './dom.js';
import { count, functionName, timeWindow } from './format.js';
import { nextWindow } from './state.js';
import { updateVersions } from './versions.js';

/** Shows a secret, or nothing. `onClose` is called by the button. */
export function updateSecret(section, secret, onClose) {
  section.hidden = secret === null;
  if (secret === null) {
    section.replaceChildren();
    return;
  }
  if (!section.firstChild) {
    const close = element('button',
      { type: 'button', class: 'close', 'aria-keyshortcuts': 'Escape' }, 'Close');
    close.addEventListener('click', onClose);
    section.append(
      element('div', { class: 'opened-header' },
        element('h2', { id: 'opened-title' }), close),
      element('dl', { class: 'configuration' }),
      element('h3', {}, 'Versions'),
      element('ol', { class: 'versions' }),
      element('p', { class: 'hint older' }));
  }
  const title = section.querySelector('h2');
  if (title.textContent !== secret.name) title.textContent = secret.name;
  const facts = configuration(secret);
  reconcile(section.querySelector('dl'), facts, {
    key: ([name]) => name,
    build: ([name, text]) => element('div', {}, element('dt', {}, name), element('dd', {}, text)),
  });
  updateVersions(section.querySelector('.versions'), secret);
  const older = section.querySelector('.older');
  older.hidden = secret.olderVersions === 0;
  older.textContent =
    `And ${count(secret.olderVersions, 'older version')} without staging labels.`;
}

/** Returns the names and texts of what is configured. */
function configuration(secret) {
  const { rotation, primary, replicas } = secret;
  const next = nextWindow(secret);
  return [
    ['ARN', secret.arn],
    secret.description && ['Description', secret.description],
    rotation && ['Function',
      functionName(rotation.function) + (rotation.enabled ? '' : ' (rotation is turned off)')],
    next && ['Next rotation', timeWindow(next)],
    primary && ['Replica of', primary],
    replicas.length > 0 && ['Replicas',
      replicas.map(({ destination, status }) => `${destination} (${status})`).join(', ')],
    secret.isMarkedForDeletion && ['Deletion', 'This secret is marked for deletion.'],
  ].filter(Boolean);
}
