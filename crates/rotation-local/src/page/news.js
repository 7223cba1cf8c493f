// Announces what has happened to screen readers.

import { shortId } from './format.js';
import { isRunning, isTest, lastError, nameOf } from './state.js';

/** The maximum number of sentences that stay in the document. */
const MAX_SENTENCES = 8;

/** Announces the differences between two states. */
export function announce(target, before, after) {
  for (const sentence of [...rotations(before, after), ...movements(before, after)]) {
    const paragraph = document.createElement('p');
    paragraph.textContent = sentence;
    target.append(paragraph);
  }
  while (target.children.length > MAX_SENTENCES) target.firstChild.remove();
}

function* rotations(before, after) {
  const known = new Map(before.rotations.map((run) => [run.number, run]));
  for (const run of after.rotations) {
    const what = `${isTest(run) ? 'Test' : 'Rotation'} of ${nameOf(after, run.secret)}`;
    const old = known.get(run.number);
    if (!old) yield `${what}: started.`;
    if (!isRunning(run) && (!old || isRunning(old))) {
      const error = lastError(run);
      yield `${what}: ${run.end}${error ? `, ${error.type}` : ''}.`;
    }
  }
}

function* movements(before, after) {
  const known = new Map(before.secrets.map((secret) => [secret.arn, secret]));
  for (const secret of after.secrets) {
    const old = places(known.get(secret.arn));
    for (const [label, version] of places(secret)) {
      if (old.has(label) && old.get(label) !== version) {
        yield `${label} of ${secret.name} has moved to version ${shortId(version)}.`;
      }
    }
  }
}

/** Returns the versions of a secret by their labels. */
function places(secret) {
  const versions = secret?.versions ?? [];
  return new Map(versions.flatMap(({ id, labels }) => labels.map((label) => [label, id])));
}
