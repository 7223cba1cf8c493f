// The versions of a secret as columns, with their staging labels as chips that move between them.

import { element, reconcile } from './dom.js';
import { date, shortId, timeOfDay } from './format.js';

/** The duration of a movement in milliseconds. */
const MOVEMENT = 900;

const reducedMotion = window.matchMedia('(prefers-reduced-motion: reduce)');

/** Updates the list of versions. Labels that have moved since the last update are animated. */
export function updateVersions(list, secret) {
  const before = list.dataset.secret === secret.arn ? chips(list) : null;
  list.dataset.secret = secret.arn;
  reconcile(list, secret.versions, { key: (version) => version.id, build: card });
  if (before && !reducedMotion.matches) animate(before, chips(list));
}

function card(version) {
  const isNew = version.labels.includes('AWSPENDING') && !version.labels.includes('AWSCURRENT');
  const isDeprecated = version.labels.length === 0;
  const kind = (isNew && 'version new') || (isDeprecated && 'version deprecated') || 'version';
  return element('li', { class: kind, 'data-version': version.id },
    isDeprecated && element('p', { class: 'labels' }, 'deprecated'),
    !isDeprecated && element('ul', { class: 'labels', 'aria-label': 'Staging labels' },
      ...sorted(version.labels).map((label) => element('li',
        { class: `label ${label.toLowerCase()}`, 'data-label': label }, label))),
    element('code', { class: 'id', title: version.id }, shortId(version.id)),
    version.hasValue
      ? element('span', { class: 'value' }, element('span', { 'aria-hidden': 'true' }, '•••••••'),
        element('span', { class: 'visually-hidden' }, 'has a value, which is not shown'))
      : element('span', { class: 'value none' }, 'no value yet'),
    element('span', { class: 'created', title: date(version.created) },
      `created ${timeOfDay(version.created)} UTC`));
}

/** Sorts labels so that they keep their order when another one moves. */
function sorted(labels) {
  const known = ['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS'];
  const rank = (label) => (known.includes(label) ? known.indexOf(label) : known.length);
  return labels.toSorted((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

/** Returns the chips by their labels, with their versions and places. */
function chips(list) {
  return new Map([...list.querySelectorAll('.label')].map((chip) => [chip.dataset.label, {
    chip,
    version: chip.closest('.version').dataset.version,
    place: chip.getBoundingClientRect(),
  }]));
}

/** Lets each chip start from its earlier place. */
function animate(before, after) {
  for (const [label, { chip, version, place }] of after) {
    const old = before.get(label);
    if (!old) {
      chip.animate([{ opacity: 0, transform: 'scale(.6)' }, { opacity: 1, transform: 'none' }],
        { duration: MOVEMENT / 2, easing: 'ease-out' });
    } else if (old.version !== version) {
      const from = `translate(${old.place.x - place.x}px, ${old.place.y - place.y}px)`;
      chip.animate([{ transform: from }, { transform: 'none' }],
        { duration: MOVEMENT, easing: 'cubic-bezier(.3, .8, .25, 1)' });
    }
  }
}
