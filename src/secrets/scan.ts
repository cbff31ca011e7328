// Reads bytes, cut anywhere, and says where a secret stands in them. Pure.
import { type Automaton, NOT_SIMPLE } from './automaton.js';
import { createReader, isEscape, OTHER, type Reading } from './characters.js';

export interface Range {
  start: number;
  end: number;
}

/** Gets the bytes of a secret once the last of them was read, of a long one in several calls; the same may come twice. */
export type OnFound = (secret: number, ranges: Range[]) => void;

/** More characters than a pattern has. */
const KEPT = 256;

/** Positions are those that the caller counts. */
export function createScanner(automaton: Automaton, onFound: OnFound) {
  const escaped = createScan(automaton, 'escaped', onFound);
  const literal = createScan(automaton, 'literal', onFound);
  /** Without escapes both read the same, so one is enough. */
  let areApart = false;

  return {
    /** The bytes of `chunk` are at `base` and behind. */
    feed(chunk: Buffer, base: number): void {
      for (let at = 0; at < chunk.length; at += 1) {
        if (!areApart) at = escaped.skip(chunk, base, at);
        const byte = chunk[at];
        if (byte === undefined) return;
        if (!areApart && isEscape(byte)) {
          areApart = true;
          goOnFrom(literal.now, escaped.now);
        }
        escaped.take(byte, base + at);
        if (areApart) {
          literal.take(byte, base + at);
          areApart = escaped.isOpen() || literal.isOpen() || !areLike(escaped.now, literal.now);
        }
      }
    },
    /** No more bytes come. */
    end(): void {
      escaped.end();
      if (areApart) literal.end();
    },
    /** What comes from here on may be part of a secret; infinite when it is none. */
    heldFrom: (): number => Math.min(escaped.heldFrom(), areApart ? literal.heldFrom() : Number.POSITIVE_INFINITY),
  };
}

/** Whether two scans find the same from here on. */
const areLike = (one: Place, other: Place): boolean => one.state === other.state && one.left === other.left;

/** Where a scan is. */
interface Place {
  state: number;
  /** Characters read so far, and where the latest of them stand. */
  count: number;
  starts: Float64Array;
  ends: Float64Array;
  /** Of a long secret so many characters are still to come. */
  left: number;
  secret: number;
}

const createPlace = (): Place => ({
  ...{ state: 0, count: 0, left: 0, secret: 0 },
  starts: new Float64Array(KEPT),
  ends: new Float64Array(KEPT),
});

function goOnFrom(place: Place, { starts, ends, ...other }: Place): void {
  place.starts.set(starts);
  place.ends.set(ends);
  Object.assign(place, other);
}

function createScan(automaton: Automaton, reading: Reading, onFound: OnFound) {
  const { next, depth, found, classes, classOfByte, width, patterns, heldFrom } = automaton;
  const now = createPlace();
  const { starts, ends } = now;
  const reader = createReader(reading, step);
  const beginsOther = next[classes[OTHER] ?? 0] !== 0;

  const rangeAt = (index: number): Range => ({ start: starts[index % KEPT] ?? 0, end: ends[index % KEPT] ?? 0 });

  function step(code: number, start: number, end: number): void {
    starts[now.count % KEPT] = start;
    ends[now.count % KEPT] = end;
    now.count += 1;
    now.state = next[now.state * width + (classes[code] ?? 0)] ?? 0;
    if (now.left > 0 || found[now.state] !== 0) look();
  }

  function look(): void {
    if (now.left > 0) {
      now.left -= 1;
      onFound(now.secret, [rangeAt(now.count - 1)]);
    }
    const pattern = patterns[(found[now.state] ?? 0) - 1];
    if (!pattern) return;
    const { secret, codes, rest } = pattern;
    const ranges = codes.map((_, at) => rangeAt(now.count - codes.length + at));
    Object.assign(now, { secret, left: rest });
    onFound(secret, ranges);
  }

  /** Reads bytes that stand for themselves, nearly all there are, up to the first that does not. Returns its place. */
  function skip(chunk: Buffer, base: number, from: number): number {
    if (reader.openFrom() !== undefined || now.left > 0) return from;
    let { state, count } = now;
    let at = from;
    for (; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      const byteClass = classOfByte[byte] ?? 0;
      if (byteClass === NOT_SIMPLE) {
        // Seen or not: where nothing has begun it changes nothing. Most of what is no text goes this way.
        if (byte >= OTHER && state === 0 && !beginsOther) continue;
        break;
      }
      starts[count % KEPT] = base + at;
      ends[count % KEPT] = base + at + 1;
      count += 1;
      state = next[state * width + byteClass] ?? 0;
      if (found[state] !== 0) {
        Object.assign(now, { state, count });
        look();
        if (now.left > 0) return at + 1;
      }
    }
    Object.assign(now, { state, count });
    return at;
  }

  return {
    ...{ now, skip, end: reader.end, isOpen: () => reader.openFrom() !== undefined },
    take: (byte: number, at: number): void => reader.take(byte, at, at + 1),
    heldFrom(): number {
      const deep = depth[now.state] ?? 0;
      return deep >= heldFrom ? rangeAt(now.count - deep).start : (reader.openFrom() ?? Number.POSITIVE_INFINITY);
    },
  };
}
