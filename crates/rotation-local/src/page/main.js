// Starts the page, and updates it when the state of the service changes.

import { element, reconcile, setText } from './dom.js';
import { date } from './format.js';
import { listenToKeys } from './keyboard.js';
import { updateLog } from './log.js';
import { announce } from './news.js';
import { rotationArticle } from './rotation.js';
import { updateSecret } from './secret.js';
import { createFilters, updateSecretList } from './secret_list.js';
import { fetchState, isRunning, nameOf, rotationsOf } from './state.js';
import { showTips } from './tips.js';

/** The pauses between two requests for the state, in milliseconds. */
const PAUSE = { running: 200, idle: 600, hidden: 2000 };

const ROTATE = 'aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn …';

const part = (id) => document.getElementById(id);

/** The last state that was received. */
let state = null;
/** The ARN of the only secret, which is open from the start. False after it was closed. */
let onlySecret = null;

/** Returns the ARN of the opened secret, or null. */
function openedArn() {
  const exists = (arn) => state.secrets.some((secret) => secret.arn === arn);
  const named = new URLSearchParams(window.location.hash.slice(1)).get('secret');
  if (named && exists(named)) return named;
  // It stays open when other secrets are created.
  if (onlySecret === null && state.secrets.length === 1) onlySecret = state.secrets[0].arn;
  return onlySecret && exists(onlySecret) ? onlySecret : null;
}

function close() {
  if (!state) return;
  const arn = openedArn();
  onlySecret = false;
  window.location.hash = '';
  render();
  const links = [...document.querySelectorAll('#secret-list a')];
  links.find((link) => link.closest('li').dataset.key === arn)?.focus();
}

function render() {
  if (!state) return;
  const arn = openedArn();
  const secret = state.secrets.find((one) => one.arn === arn) ?? null;
  part('columns').classList.toggle('has-opened', secret !== null);
  updateSecretList(state, arn);
  updateSecret(part('opened'), secret, close);
  updateRotations(arn);
  updateLog(part('log'), state.log, arn);
}

/** Shows the rotations of the opened secret, or of all secrets, newest first. */
function updateRotations(arn) {
  const runs = arn ? rotationsOf(state, arn) : [...state.rotations].reverse();
  // The width of the axes is known when the first one is shown.
  for (let width = trackWidth(), shown = null; width !== shown; width = trackWidth()) {
    shown = width;
    reconcile(part('rotations'), runs, {
      key: (run) => run.number,
      signature: (run) => `${arn} ${shown} ${nameOf(state, run.secret)} ${JSON.stringify(run)}`,
      build: (run) => rotationArticle(state, run,
        { heading: heading(run, arn), startedAt: !arn, width: shown }),
    });
    if (runs.length === 0) break;
  }
  const hint = part('no-rotations');
  hint.hidden = runs.length > 0;
  if (!hint.hidden) {
    hint.replaceChildren('No rotations yet. To start one: ', element('code', {}, ROTATE));
  }
}

function heading(run, arn) {
  if (arn) return date(run.started);
  const href = `#secret=${encodeURIComponent(run.secret)}`;
  return element('a', { href }, nameOf(state, run.secret));
}

/** Returns the width of the time axes in pixels. It depends only on the window. */
function trackWidth() {
  const track = document.querySelector('.axis .track');
  return Math.round(track?.clientWidth ?? part('main').clientWidth * 0.75) || 600;
}

async function poll() {
  const next = await nextState();
  const pause = (next ?? state)?.rotations.some(isRunning) ? PAUSE.running : PAUSE.idle;
  setTimeout(poll, document.hidden ? PAUSE.hidden : pause);
  if (!next) return;
  if (state) announce(part('news'), state, next);
  state = next;
  render();
}

/** Returns the state if it has changed, and shows whether the service answers. */
async function nextState() {
  let next = null;
  let isConnected = true;
  try {
    next = await fetchState();
  } catch {
    isConnected = false;
  }
  setText(part('connection'), isConnected ? 'connected' : 'no connection');
  document.body.classList.toggle('is-gone', !isConnected);
  return next;
}

createFilters(part('filters'), render);
listenToKeys({ close });
showTips(part('tip'));
window.addEventListener('hashchange', () => {
  render();
  if (window.location.hash.startsWith('#secret=')) window.scrollTo(0, 0);
});
window.addEventListener('resize', render);
poll();
