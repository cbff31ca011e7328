// Bytes on their way, with asterisks in place of secrets: a byte for each byte, so that lengths said before stay true. Pure.
import type { Automaton } from './automaton.js';
import { createScanner, type OnFound, type Range } from './scan.js';

export interface Mask {
  /** What may go on now. */
  feed(chunk: Buffer): Buffer;
  /** The rest. */
  end(): Buffer;
}

/** More is not held back: hidden characters behind the beginning of a secret would fill the memory. */
const HELD_BYTES = 16 * 1024;

/** `onFound` is called with each name once, before the byte that completes the secret goes on. */
export function createMask(automaton: Automaton, onFound: (name: string) => void): Mask {
  const found: Range[] = [];
  const told = new Set<string>();
  const take: OnFound = (secret, ranges) => {
    const name = automaton.names[secret] ?? '';
    found.push(...ranges);
    if (!told.has(name)) onFound(name);
    told.add(name);
  };
  const whole = createScanner(automaton, take);
  let pieces: ReturnType<typeof createPieces> | undefined;
  /** Read, and not gone on yet. */
  let held = Buffer.alloc(0);
  let base = 0;

  function pass(bytes: Buffer, upTo: number): Buffer {
    const safe = found.length > 0 ? Buffer.from(bytes) : bytes;
    for (const { start, end } of found.splice(0)) safe.fill('*', Math.max(0, start - base), Math.max(0, end - base));
    held = Buffer.from(safe.subarray(upTo - base));
    const gone = safe.subarray(0, upTo - base);
    base = upTo;
    return gone;
  }

  return {
    feed(chunk) {
      const bytes = held.length > 0 ? Buffer.concat([held, chunk]) : chunk;
      const from = base + held.length;
      if (from === 0 && EVENTS.test(chunk.toString('latin1', 0, 8))) pieces = createPieces(automaton, take);
      whole.feed(chunk, from);
      pieces?.feed(chunk, from);
      const end = base + bytes.length;
      const undecided = Math.min(end, whole.heldFrom(), pieces?.heldFrom() ?? end);
      return pass(bytes, Math.max(base, end - HELD_BYTES, undecided));
    },
    end() {
      whole.end();
      pieces?.end();
      return pass(held, base + held.length);
    },
  };
}

/** Texts of the head of an HTTP message, in which a character is a byte. */
export function maskTexts(mask: Mask, texts: string[]): string[] {
  // The ends of lines are not read, so a secret in two of them is found as well.
  const bytes = Buffer.from(texts.join('\n'), 'latin1');
  const safe = Buffer.concat([mask.feed(bytes), mask.end()]);
  return safe.equals(bytes) ? texts : safe.toString('latin1').split('\n');
}

/** How a stream of server-sent events begins. */
const EVENTS = /^(event|data|id|retry)?:/;
/** Fields of which a model's answer has a piece in each event. */
const PIECE = /"(text|partial_json|thinking)":\s*$/;
const PIECE_CHARS = 24;
const [QUOTE, BACKSLASH] = Buffer.from('"\\');

/** Reads the pieces of a model's answer as one text: no event alone has all of a secret. */
function createPieces(automaton: Automaton, onFound: OnFound) {
  const { feed, ...scanner } = createScanner(automaton, onFound);
  let isPiece = false;
  let escaped = false;
  /** The end of what is no piece. */
  let before = '';
  return {
    ...scanner,
    feed(chunk: Buffer, base: number): void {
      let from = 0;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at];
        if (escaped) escaped = false;
        else if (isPiece && byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) {
          const text = chunk.subarray(from, at);
          if (isPiece) feed(text, base + from);
          before = isPiece ? '' : (before + text.toString('latin1')).slice(-PIECE_CHARS);
          isPiece = !isPiece && PIECE.test(before);
          if (!isPiece) before += '"';
          from = at + 1;
        }
      }
      const text = chunk.subarray(from);
      if (isPiece) feed(text, base + from);
      else before = (before + text.toString('latin1')).slice(-PIECE_CHARS);
    },
  };
}
