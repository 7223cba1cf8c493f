// The time axis of a rotation: it maps times to places, and chooses the ticks.

import { duration } from './format.js';

/** The share of the axis that a long pause gets, compared with everything else. */
const PAUSE_SHARE = 0.12;
/** The minimum distance of two tick labels in pixels. */
const TICK_DISTANCE = 84;
/** The room that the label of a pause needs, in pixels. */
const PAUSE_LABEL_WIDTH = 88;

/**
 * Creates the axis of a rotation. Places are fractions of its width, from 0 to 1.
 *
 * All durations have the same scale, except the pauses before retries: a pause that is much longer
 * than the steps would make them too small to see, so it is shortened and marked.
 */
export function timeAxis(run, width) {
  const total = Math.max(run.took, 1);
  const pauses = run.pauses
    .map(({ from, took }) => ({ from, to: Math.min(from + took, total), took }))
    .filter(({ from, to }) => to > from);
  const paused = pauses.reduce((sum, pause) => sum + pause.to - pause.from, 0);
  const most = Math.max(total - paused, 1) * PAUSE_SHARE;

  const segments = [];
  let at = 0;
  for (const pause of pauses) {
    segments.push({ from: at, to: pause.from, weight: pause.from - at });
    segments.push({ ...pause, isPause: true, weight: Math.min(pause.to - pause.from, most) });
    at = pause.to;
  }
  segments.push({ from: at, to: total, weight: total - at });
  const weights = segments.reduce((sum, segment) => sum + segment.weight, 0);

  let place = 0;
  for (const segment of segments) {
    segment.start = place / weights;
    place += segment.weight;
    segment.end = place / weights;
  }

  /** Returns the place of a time. */
  const placeOf = (time) => {
    const segment = segments.find(({ to }) => time <= to) ?? segments.at(-1);
    const part = (time - segment.from) / Math.max(segment.to - segment.from, Number.EPSILON);
    const inside = Math.min(Math.max(part, 0), 1);
    return segment.start + inside * (segment.end - segment.start);
  };

  const shownPauses = labelledPauses(segments.filter(({ isPause }) => isPause), width);
  return {
    placeOf,
    pauses: shownPauses,
    ticks: ticks(segments, weights, placeOf, shownPauses, width),
  };
}

/** Returns the pauses with the centres of their labels, if there is room for a label. */
function labelledPauses(pauses, width) {
  let last = -Infinity;
  return pauses.map((pause) => {
    const centre = (pause.start + pause.end) / 2;
    const hasRoom = (centre - last) * width >= PAUSE_LABEL_WIDTH
      && Math.min(centre, 1 - centre) * width >= PAUSE_LABEL_WIDTH / 2;
    if (hasRoom) last = centre;
    return { ...pause, centre, hasLabel: hasRoom };
  });
}

/** Returns the ticks: their places, and their labels if there is room. */
function ticks(segments, weights, placeOf, pauses, width) {
  const step = niceStep((weights / Math.max(width, 1)) * TICK_DISTANCE);
  const found = [];
  let lastLabel = -Infinity;
  for (const { from, to, isPause } of segments) {
    if (isPause) continue;
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const place = placeOf(time);
      // Labels must not overlap each other or those of pauses, and not leave the axis.
      const isFree = pauses.every(({ centre, hasLabel }) => !hasLabel
        || Math.abs(place - centre) * width >= (PAUSE_LABEL_WIDTH + TICK_DISTANCE * 0.7) / 2);
      const hasRoom = isFree && (place - lastLabel) * width >= TICK_DISTANCE * 0.7
        && (1 - place) * width >= TICK_DISTANCE * 0.5;
      if (hasRoom) lastLabel = place;
      found.push({ place, label: hasRoom ? duration(time) : null });
    }
  }
  return found;
}

/** Returns the next number of 1, 2, 5, 10, 20, 50 … */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 0.1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

/**
 * Distributes spans over as few lanes as possible, so that spans in a lane do not overlap. `least`
 * is the width that a span takes at least. Returns the lane of each span, and their number.
 */
export function lanes(spans, least) {
  const ends = [];
  const lanesOfSpans = spans.map(({ start, end }) => {
    const free = ends.findIndex((taken) => taken <= start);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = Math.max(end, start + least);
    return lane;
  });
  return { lanesOfSpans, count: Math.max(ends.length, 1) };
}
