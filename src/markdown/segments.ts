// Cuts text: Markdown into segments that can be parsed one by one, and any text into pieces. The parser's time grows faster than its
// text, and the text comes from a container: nobody parses more than one segment without a pause. Pure.

/** The most that is parsed at once, in UTF-16 units and lines. A code fence may be longer, it costs next to nothing. */
const MAX_SEGMENT_CHARS = 4_096;
const MAX_SEGMENT_LINES = 400;
/** Where the parser takes a line as the start of a code fence, whatever is above it. */
const FENCE = /^(?:`{3,}(?=[^`]*$)|~{3,})/;

interface Piece {
  text: string;
  /** A whole code fence and nothing else. */
  fenced: boolean;
}

/**
 * Markdown (its lines end in `\n`) cut between paragraphs where there are any, else before a line, else within one; a code fence is a
 * segment of its own, so that nothing above it can make the parser read it as something else. Joined, the segments are the text, but
 * for backslashes where a cut would have made a mark of what was none.
 */
export function* segmentsOf(text: string): Generator<Piece> {
  let open: string[] = [];
  let chars = 0;
  /** Where in `open` the last paragraph begins. */
  let paragraph = 0;
  for (const { text: line, fenced } of unitsOf(text)) {
    let unit = line;
    if (fenced) {
      if (open.length > 0) yield { text: open.join(''), fenced: false };
      [open, chars, paragraph] = [[], 0, 0];
      yield { text: unit, fenced };
      continue;
    }
    if (open.at(-1)?.trim() === '' && /^\S/.test(unit)) paragraph = open.length;
    while (open.length >= MAX_SEGMENT_LINES || (open.length > 0 && chars + unit.length > MAX_SEGMENT_CHARS)) {
      // In the middle of a paragraph it was no definition of a link: it was shown.
      if (paragraph === 0) unit = unit.replace(/^( {0,3})\[/, '$1\\[');
      const segment = open.slice(0, paragraph || open.length).join('');
      yield { text: segment, fenced: false };
      open = open.slice(paragraph || open.length);
      chars -= segment.length;
      paragraph = 0;
    }
    open.push(unit);
    chars += unit.length;
  }
  if (open.length > 0) yield { text: open.join(''), fenced: false };
}

/** Lines; a fenced block is one unit, a line that is too long several. */
function* unitsOf(text: string): Generator<Piece> {
  for (let at = 0; at < text.length; ) {
    const line = text.slice(at, lineEnd(text, at));
    const fence = FENCE.exec(line.trimEnd())?.[0];
    if (fence) {
      const end = fenceEnd(text, at + line.length, fence);
      yield { text: text.slice(at, end), fenced: true };
      at = end;
    } else {
      for (const piece of piecesOfLine(line)) yield { text: piece, fenced: false };
      at += line.length;
    }
  }
}

/** Behind the line that begins at `at`. */
const lineEnd = (text: string, at: number): number => text.indexOf('\n', at) + 1 || text.length;

/** Behind the line that closes the fence, or of the text when none does. */
function fenceEnd(text: string, from: number, fence: string): number {
  for (let at = from; at < text.length; ) {
    const end = lineEnd(text, at);
    // As the parser has it: set in by up to three spaces, and followed by marks of either kind.
    const line = text.slice(at, end).replace(/^ {0,3}/, '');
    if (line.startsWith(fence) && /^[`~]* *\n?$/.test(line)) return end;
    at = end;
  }
  return text.length;
}

function piecesOfLine(line: string): string[] {
  if (line.length <= MAX_SEGMENT_CHARS) return [line];
  const pieces = cutText(line, MAX_SEGMENT_CHARS - 2);
  let carried = '';
  return pieces.map((piece, index) => {
    const whole = carried + piece;
    // A backslash stays with the character that it escapes.
    carried = index < pieces.length - 1 && /(?<!\\)(?:\\\\)*\\$/.test(whole) ? '\\' : '';
    const kept = whole.slice(0, whole.length - carried.length);
    // What began no list, quote or fence must not begin one now.
    return index === 0 ? kept : kept.replace(/^\s*(?:\d+(?=[.)])|(?=[-*+#]\s|>|`{3}|~{3}|\[))/, '$&\\');
  });
}

/** Link definitions by their label, as far as a whole text is needed to know them. */
export function definitionsIn(text: string): Map<string, { href: string; title: string }> {
  const found = text.matchAll(/^ {0,3}\[(?!\^)([^[\]\n]{1,200})\]: *<?([^\s>]+)/gm);
  return new Map([...found].reverse().map(([, label = '', href = '']) => [labelOf(label), { href, title: '' }]));
}

/** Those of the definitions whose label a segment has in brackets. */
export function definitionsFor<T>(segment: string, all: Map<string, T>): Map<string, T> {
  const labels = all.size === 0 ? [] : segment.matchAll(/\[([^[\]]{1,200})\]/g);
  const found = new Map<string, T>();
  for (const [, label = ''] of labels) {
    const one = all.get(labelOf(label));
    if (one) found.set(labelOf(label), one);
  }
  return found;
}

/** As the parser compares them. */
export const labelOf = (label: string): string => label.toLowerCase().replace(/\s+/g, ' ');

const graphemes = new Intl.Segmenter();

/**
 * Cuts text into pieces of at most `room` UTF-16 units, at the last line end, sentence end or space that leaves a piece at least half
 * full, else between characters as people see them (never inside a surrogate pair).
 */
export function cutText(text: string, room: number): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const at = cutPoint(rest, room);
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at);
  }
  if (rest !== '') pieces.push(rest);
  return pieces;
}

function cutPoint(text: string, room: number): number {
  const head = text.slice(0, room);
  for (const pattern of [/\n(?=[^\n]*$)/, /[.!?…]\s(?=[^.!?…]*$)/, /\s(?=\S*$)/]) {
    const match = pattern.exec(head);
    if (match && match.index + match[0].length >= room / 2) return match.index + match[0].length;
  }
  const straddling = graphemes.segment(text.slice(0, room + 40)).containing(room);
  return straddling?.index || (/[\ud800-\udbff]$/.test(head) ? room - 1 : room);
}
