// Text the way secrets are looked for in it: escapes are resolved, case and the two alphabets of base64 are one, characters that nobody sees
// and the ends of lines are left out. Pure; knows nothing about secrets.

/** One character, and the bytes that said it. */
export interface Character {
  /** Below 128 the ASCII code, lower case; OTHER for the rest. */
  code: number;
  start: number;
  end: number;
}
type Emit = (character: Character) => void;

/** Characters beyond ASCII are not told apart. */
export const OTHER = 128;
/** A code point that an escape gave whole: no byte of UTF-8. */
const WHOLE = 0x100_0000;

const [PERCENT = 0, BACKSLASH = 0, PLUS = 0, MINUS = 0, SLASH = 0, UNDERSCORE = 0] = Buffer.from('%\\+-/_');
const [LINE_FEED, RETURN, TAB] = [10, 13, 9];

/** What an ASCII character is compared as. */
export function foldedCode(code: number): number {
  if (code >= 65 && code <= 90) return code + 32;
  if (code === MINUS) return PLUS;
  return code === UNDERSCORE ? SLASH : code;
}

/** Whether a byte stands for itself, whatever comes next. */
export const isSimple = (byte: number): boolean =>
  byte < 128 && byte !== PERCENT && byte !== BACKSLASH && byte !== LINE_FEED && byte !== RETURN;

export type Reader = ReturnType<typeof createReader>;

/**
 * How a text may be meant: `%41` and `\n` are escapes, or just what they look like. Somebody who writes a percent sign before a secret
 * must not hide its first two characters, so both are looked at.
 */
export const READINGS = ['escaped', 'literal'] as const;
export type Reading = (typeof READINGS)[number];

/** Reads bytes one by one, cut anywhere, and gives characters. */
export function createReader(reading: Reading, emit: Emit) {
  const utf8 = createUtf8(emit);
  const escapes = reading === 'escaped' ? createEscapes(utf8.take) : createLiterals(utf8.take);
  return {
    take: escapes.take,
    /** Where a character begins that is not complete yet; undefined when there is none. */
    openFrom: (): number | undefined => utf8.openFrom() ?? escapes.openFrom(),
    /** No more bytes come: what is open stands for itself. */
    end(): void {
      escapes.end();
      utf8.end();
    },
  };
}

const isHex = (code: number): boolean => /[0-9a-f]/i.test(String.fromCharCode(code));
const numberOf = (digits: Character[]): number =>
  Number.parseInt(String.fromCharCode(...digits.map(({ code }) => code)), 16);

/** `%41`, `\x41`, `\u0041` and `\/`, also those behind several backslashes: JSON within JSON. */
function createEscapes(emit: Emit) {
  let open: Character[] = [];

  function take(next: Character): void {
    const [first] = open;
    if (!first) {
      if (next.code === PERCENT || next.code === BACKSLASH) open = [next];
      else emit(next);
    } else if (first.code === PERCENT) percent(first, next);
    else if (open.length === 1) backslash(first, next);
    else digits(first, next);
  }

  function percent(first: Character, next: Character): void {
    open.push(next);
    if (!isHex(next.code)) return asItIs();
    if (open.length < 3) return;
    const code = numberOf(open.slice(1));
    open = [];
    take({ code, start: first.start, end: next.end });
  }

  function backslash({ start }: Character, next: Character): void {
    const name = String.fromCharCode(next.code);
    open = [];
    if (name === '\\') open = [{ ...next, start }];
    else if (name === 'u' || name === 'x') open = [{ code: BACKSLASH, start, end: next.start }, next];
    else if (name === 't') emit({ code: TAB, start, end: next.end });
    else if (name !== 'n' && name !== 'r') take({ ...next, start });
  }

  function digits({ start }: Character, next: Character): void {
    open.push(next);
    if (!isHex(next.code)) return asItIs();
    const isByte = open[1]?.code === 120;
    if (open.length < (isByte ? 4 : 6)) return;
    const code = numberOf(open.slice(2));
    open = [];
    if (isByte || code < 128) take({ code, start, end: next.end });
    else emit({ code: WHOLE + code, start, end: next.end });
  }

  /** It was no escape. A backslash that escapes nothing belongs to what follows. */
  function asItIs(): void {
    const [first, second, ...rest] = open;
    open = [];
    if (!first) return;
    if (first.code === PERCENT) emit(first);
    if (second) take(first.code === PERCENT ? second : { ...second, start: first.start });
    for (const one of rest) take(one);
  }

  return {
    take,
    openFrom: () => open[0]?.start,
    end(): void {
      while (open.length > 0) asItIs();
    },
  };
}

/** No escapes; but a backslash belongs to what follows: JSON with an asterisk behind one would be none. */
function createLiterals(emit: Emit) {
  let from: number | undefined;
  return {
    take(next: Character): void {
      if (next.code === BACKSLASH) from ??= next.start;
      else emit({ ...next, start: from ?? next.start });
      if (next.code !== BACKSLASH) from = undefined;
    },
    openFrom: () => from,
    end(): void {
      from = undefined;
    },
  };
}

/** What nobody sees: zero-width characters, soft hyphens, marks of direction. */
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u;

function createUtf8(emit: Emit) {
  let [start, missing, point] = [0, 0, 0];

  function take(next: Character): void {
    const { code, end } = next;
    if (missing > 0 && code >= 128 && code < 192) {
      missing -= 1;
      point = point * 64 + (code & 63);
      if (missing === 0) whole(end);
      return;
    }
    finish(next.start);
    if (code < 128) {
      if (code !== LINE_FEED && code !== RETURN) emit({ ...next, code: foldedCode(code) });
      return;
    }
    start = next.start;
    missing = code >= WHOLE || code < 194 ? 0 : code < 224 ? 1 : code < 240 ? 2 : 3;
    point = code >= WHOLE ? code - WHOLE : code & (63 >> missing);
    if (missing === 0) whole(end);
  }

  function whole(end: number): void {
    if (point > 0x10ffff || !UNSEEN.test(String.fromCodePoint(point))) emit({ code: OTHER, start, end });
  }

  /** A character that broke off. */
  function finish(end: number): void {
    if (missing > 0) emit({ code: OTHER, start, end });
    missing = 0;
  }

  return { take, openFrom: () => (missing > 0 ? start : undefined), end: () => finish(start + 1) };
}
