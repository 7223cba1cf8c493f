// Reads the state of the service, and derives facts about its secrets.

/** The tag of the last state, so that the service sends only a changed state. */
let tag = null;

/** Returns the current state, or null if it has not changed since the last call. */
export async function fetchState() {
  const headers = tag ? { 'If-None-Match': tag } : {};
  const answer = await fetch('/state', { headers, cache: 'no-store' });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
  const state = await answer.json();
  tag = answer.headers.get('etag');
  return state;
}

/** Returns the rotations of a secret, newest first. */
export function rotationsOf(state, arn) {
  return state.rotations.filter((run) => run.secret === arn).reverse();
}

export function isRunning(run) {
  return run.end === null;
}

/** Returns true if a rotation has ended with an error. */
export function hasFailed(run) {
  return run.end !== null && run.end !== 'done';
}

/** The states by which secrets can be filtered. A secret can be in several of them. */
export const STATES = {
  rotating: { title: 'Rotating', matches: (secret, newest) => newest && isRunning(newest) },
  failed: { title: 'Failed', matches: (secret, newest) => newest && hasFailed(newest) },
  scheduled: { title: 'Scheduled', matches: (secret) => nextWindow(secret) !== null },
  replicas: {
    title: 'Replicas',
    matches: (secret) => secret.primary !== null || secret.replicas.length > 0,
  },
};

/** Returns the states of a secret. */
export function statesOf(state, secret) {
  const newest = rotationsOf(state, secret.arn)[0];
  return Object.keys(STATES).filter((name) => STATES[name].matches(secret, newest));
}

/** Returns the next rotation window of a secret, or null. */
export function nextWindow(secret) {
  return secret.rotation?.enabled ? secret.rotation.next : null;
}

/** Returns the last error of a rotation, or null. */
export function lastError(run) {
  if (!hasFailed(run)) return null;
  return run.error ?? run.steps.at(-1)?.error ?? null;
}

/** Returns true if a run is of `testSecret` alone. */
export function isTest(run) {
  return run.steps[0]?.name === 'testSecret';
}

/** Returns the names of the steps that a run has. */
export function stepsOf(state, run) {
  return isTest(run) ? ['testSecret'] : state.steps;
}

/** Returns the name of a secret, which its ARN contains, even if the secret is deleted. */
export function nameOf(state, arn) {
  const secret = state.secrets.find((one) => one.arn === arn);
  return secret?.name ?? arn.split(':secret:').pop().replace(/-[^-]*$/, '');
}
