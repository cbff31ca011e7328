// All secrets in all their forms as one automaton (Aho and Corasick, 1975), so that a text is read once however many there are. Pure.
import { createReader, foldedCode, isSimple, OTHER, READINGS, type Reading } from './characters.js';

export interface Secret {
  name: string;
  /** A text, or the bytes of a key. */
  value: string | Buffer;
}

/** Of longer ones so much is compared and the rest is taken as found: it is enough to get past what all keys of a kind begin with. */
export const COMPARED = 160;

interface Pattern {
  secret: number;
  codes: number[];
  /** Characters of it beyond what is compared. */
  rest: number;
}

/** The codes of a text in which nothing stays open. */
function codesOf(text: string, reading: Reading): number[] {
  const codes: number[] = [];
  const reader = createReader(reading, (code) => codes.push(code));
  Buffer.from(text).forEach((code, at) => {
    reader.take(code, at, at + 1);
  });
  reader.end();
  return codes;
}

const backwards = (text: string): string => [...text].reverse().join('');

/** What base64 makes of bytes that begin at a place of a longer text, without the characters that its neighbours have a part in. */
function base64At(offset: number, bytes: Buffer): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}

/** Case, escapes and hidden characters are no forms of their own: the reader sees through them. */
function formsOf(value: string | Buffer): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((offset) => base64At(offset, bytes));
  const plain = typeof value === 'string' ? value : (base64[0] ?? '');
  return [plain, backwards(plain), ...base64, bytes.toString('hex')];
}

/** The class of bytes that do not stand for themselves. */
export const NOT_SIMPLE = 255;

function patternsOf(value: string | Buffer, secret: number): Pattern[] {
  const read = READINGS.flatMap((reading) => formsOf(value).map((form) => codesOf(form, reading)));
  const different = new Map(read.map((codes) => [codes.join(), codes])).values();
  return [...different].map((codes) => ({
    secret,
    codes: codes.slice(0, COMPARED),
    rest: Math.max(0, codes.length - COMPARED),
  }));
}

export type Automaton = ReturnType<typeof buildAutomaton>;

/**
 * Memory: about 65 kB for a secret of 50 characters. `heldFrom`: fewer characters look like the beginning of a secret by accident; from there on
 * they are held back until it is known.
 */
export function buildAutomaton(secrets: Secret[], heldFrom = 4) {
  const patterns = secrets.flatMap(({ value }, secret) => patternsOf(value, secret));
  // Class 0: characters that no secret has.
  const classes = new Uint8Array(OTHER + 1);
  let width = 1;
  for (const code of patterns.flatMap(({ codes }) => codes)) if (classes[code] === 0) classes[code] = width++;
  const classOfByte = Uint8Array.from({ length: 256 }, (_, byte) =>
    isSimple(byte) ? (classes[foldedCode(byte)] ?? 0) : NOT_SIMPLE,
  );
  const size = patterns.reduce((sum, { codes }) => sum + codes.length, 1);
  const tables = {
    /** The next state, by state and class. */
    next: new Int32Array(size * width),
    /** Characters of the longest secret that a state may be the beginning of. */
    depth: new Uint8Array(size),
    /** The pattern that ends in a state, plus one; the longest of several. */
    found: new Int32Array(size),
  };
  plant(patterns, { ...tables, classes, width });
  connect({ ...tables, width });
  return { ...tables, classes, classOfByte, width, patterns, heldFrom, names: secrets.map(({ name }) => name) };
}

type Tables = Pick<Automaton, 'next' | 'depth' | 'found' | 'classes' | 'width'>;

/** The patterns as a tree. */
function plant(patterns: Pattern[], { next, depth, found, classes, width }: Tables): void {
  let last = 0;
  for (const [index, { codes }] of patterns.entries()) {
    let state = 0;
    for (const [at, code] of codes.entries()) {
      const edge = state * width + (classes[code] ?? 0);
      if (next[edge] === 0) {
        last += 1;
        next[edge] = last;
        depth[last] = at + 1;
      }
      state = next[edge] ?? 0;
    }
    found[state] ||= index + 1;
  }
}

/** Where no pattern goes on, a state goes where the longest end of what was read that begins a pattern goes; level by level. */
function connect({ next, depth, found, width }: Omit<Tables, 'classes'>): void {
  const shorter = new Int32Array(depth.length);
  const level = Array.from(next.subarray(0, width)).filter((state) => state > 0);
  for (const state of level) {
    const back = (shorter[state] ?? 0) * width;
    let goesOn = false;
    for (let edge = 0; edge < width; edge += 1) {
      const child = next[state * width + edge] ?? 0;
      const other = next[back + edge] ?? 0;
      if (child === 0) next[state * width + edge] = other;
      else {
        goesOn = true;
        shorter[child] = other;
        found[child] ||= found[other] ?? 0;
        level.push(child);
      }
    }
    // What ends here for good is decided; only a shorter beginning may still go on.
    if (!goesOn) depth[state] = depth[shorter[state] ?? 0] ?? 0;
  }
}
