// Reads bytes, cut anywhere, and says where a secret stands in them. Pure.
import { type Automaton, NOT_SIMPLE } from './automaton.js';
import { type Character, createReader, READINGS, type Reading } from './characters.js';

export interface Range {
  start: number;
  end: number;
}

/** So many characters look like the beginning of a secret by accident; from there on they are held back until it is known. */
const HELD_FROM = 4;
/** More characters than a pattern has. */
const KEPT = 256;

/** Gets the bytes of a secret once the last of them was read, of a long one in several calls; the same may come twice. */
export type OnFound = (secret: number, ranges: Range[]) => void;

/** Positions are those that the caller counts. */
export function createScanner(automaton: Automaton, onFound: OnFound) {
  const scans = READINGS.map((reading) => createScan(automaton, reading, onFound));
  return {
    /** The bytes of `chunk` are at `base` and behind. */
    feed(chunk: Buffer, base: number): void {
      for (const scan of scans) scan.feed(chunk, base);
    },
    /** No more bytes come. */
    end(): void {
      for (const scan of scans) scan.end();
    },
    /** What comes from here on may be part of a secret; infinite when it is none. */
    heldFrom: (): number => Math.min(...scans.map((scan) => scan.heldFrom())),
  };
}

function createScan(automaton: Automaton, reading: Reading, onFound: OnFound) {
  const { next, depth, found, classes, classOfByte, width, patterns } = automaton;
  const [starts, ends] = [new Float64Array(KEPT), new Float64Array(KEPT)];
  const rest = { secret: 0, left: 0 };
  let [count, state] = [0, 0];
  const reader = createReader(reading, step);

  const rangeAt = (index: number): Range => ({ start: starts[index % KEPT] ?? 0, end: ends[index % KEPT] ?? 0 });

  function step({ code, start, end }: Character): void {
    starts[count % KEPT] = start;
    ends[count % KEPT] = end;
    count += 1;
    state = next[state * width + (classes[code] ?? 0)] ?? 0;
    if (rest.left > 0 || found[state] !== 0) look();
  }

  function look(): void {
    if (rest.left > 0) {
      rest.left -= 1;
      onFound(rest.secret, [rangeAt(count - 1)]);
    }
    const pattern = patterns[(found[state] ?? 0) - 1];
    if (!pattern) return;
    const { secret, codes } = pattern;
    onFound(
      secret,
      codes.map((_, at) => rangeAt(count - codes.length + at)),
    );
    Object.assign(rest, { secret, left: pattern.rest });
  }

  return {
    feed(chunk: Buffer, base: number): void {
      let at = 0;
      while (at < chunk.length) {
        if (reader.openFrom() === undefined && rest.left === 0) at = simple(chunk, base, at);
        const code = chunk[at];
        if (code !== undefined) reader.take({ code, start: base + at, end: base + at + 1 });
        at += 1;
      }
    },
    end: reader.end,
    heldFrom(): number {
      const deep = depth[state] ?? 0;
      return deep >= HELD_FROM ? rangeAt(count - deep).start : (reader.openFrom() ?? Number.POSITIVE_INFINITY);
    },
  };

  /** Reads on up to a byte that does not stand for itself: nearly all there is, and no object is made for it. */
  function simple(chunk: Buffer, base: number, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byteClass = classOfByte[chunk[at] ?? 0] ?? 0;
      if (byteClass === NOT_SIMPLE) return at;
      starts[count % KEPT] = base + at;
      ends[count % KEPT] = base + at + 1;
      count += 1;
      state = next[state * width + byteClass] ?? 0;
      if (found[state] !== 0) {
        look();
        if (rest.left > 0) return at + 1;
      }
    }
    return chunk.length;
  }
}
