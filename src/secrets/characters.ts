// Text the way secrets are looked for in it: escapes are resolved, case and the two alphabets of base64 are one, characters that nobody sees
// and the ends of lines are left out. Pure; knows nothing about secrets.
// No object is made for a byte: texts of megabytes go through here.

/** Takes one character and where the bytes stand that said it. `code`: below 128 the ASCII code, lower case; OTHER for the rest. */
type Emit = (code: number, start: number, end: number) => void;

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

/** Whether an escape may begin with this byte. */
export const isEscape = (byte: number): boolean => byte === PERCENT || byte === BACKSLASH;

/** Whether a byte stands for itself, whatever comes next. */
export const isSimple = (byte: number): boolean =>
  byte < 128 && !isEscape(byte) && byte !== LINE_FEED && byte !== RETURN;

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

/** The value of a digit, by its code. */
const HEX = new Int8Array(256).fill(-1);
for (const [value, digits] of [...'0123456789abcdef'].map((digit, at) => [at, digit + digit.toUpperCase()] as const))
  for (const code of Buffer.from(digits)) HEX[code] = value;
const hexOf = (code: number): number => HEX[code] ?? -1;

const [U = 0, X = 0, N = 0, R = 0, T = 0] = Buffer.from('uxnrt');

/** `%41`, `\x41`, `\u0041` and `\/`, also those behind several backslashes: JSON within JSON. */
function createEscapes(emit: Emit) {
  /** The open escape: its first byte, `u` or `x` behind a backslash, its digits and what they come to. */
  let [first, kind, digits, value, start] = [0, 0, 0, 0, 0];
  /** What is open as it came, should it be no escape. */
  const codes = [0, 0, 0, 0, 0, 0];
  const ends = [0, 0, 0, 0, 0, 0];
  let size = 0;

  function take(code: number, from: number, end: number): void {
    if (first === 0) {
      if (isEscape(code)) begin(code, from, end);
      else emit(code, from, end);
    } else if (first === BACKSLASH && kind === 0) backslash(code, end);
    else digit(code, end);
  }

  function begin(code: number, from: number, end: number): void {
    [first, kind, digits, value, start, size] = [code, 0, 0, 0, from, 0];
    push(code, end);
  }

  function push(code: number, end: number): void {
    codes[size] = code;
    ends[size] = end;
    size += 1;
  }

  function backslash(code: number, end: number): void {
    if (code === BACKSLASH) return begin(code, start, end);
    if (code === U || code === X) {
      kind = code;
      return push(code, end);
    }
    first = 0;
    if (code === T) emit(TAB, start, end);
    else if (code !== N && code !== R) take(code, start, end);
  }

  function digit(code: number, end: number): void {
    push(code, end);
    const worth = hexOf(code);
    if (worth < 0) return asItIs();
    digits += 1;
    value = value * 16 + worth;
    if (digits < (kind === U ? 4 : 2)) return;
    first = 0;
    if (kind !== U || value < 128) take(value, start, end);
    else emit(WHOLE + value, start, end);
  }

  /** It was no escape. A backslash that escapes nothing belongs to what follows. */
  function asItIs(): void {
    const [[one = 0, ...others], [end = 0, ...otherEnds]] = [codes.slice(0, size), ends.slice(0, size)];
    let from = one === PERCENT ? end : start;
    first = 0;
    if (one === PERCENT) emit(one, start, end);
    for (const [at, code] of others.entries()) {
      take(code, from, otherEnds[at] ?? 0);
      from = otherEnds[at] ?? 0;
    }
  }

  return {
    take,
    openFrom: () => (first === 0 ? undefined : start),
    end(): void {
      while (first !== 0) asItIs();
    },
  };
}

/** No escapes; but a backslash belongs to what follows: JSON with an asterisk behind one would be none. */
function createLiterals(emit: Emit) {
  let from = -1;
  return {
    take(code: number, start: number, end: number): void {
      if (code !== BACKSLASH) emit(code, from < 0 ? start : from, end);
      if (code !== BACKSLASH) from = -1;
      else if (from < 0) from = start;
    },
    openFrom: () => (from < 0 ? undefined : from),
    end(): void {
      from = -1;
    },
  };
}

/** What nobody sees: zero-width characters, soft hyphens, marks of direction. */
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u;
/** The code points that were asked about: 1 is seen, 2 is not. */
const known = new Uint8Array(0x11_0000);

function isUnseen(point: number): boolean {
  if (known[point] === 0) known[point] = UNSEEN.test(String.fromCodePoint(point)) ? 2 : 1;
  return known[point] === 2;
}

function createUtf8(emit: Emit) {
  let [start, missing, point] = [0, 0, 0];

  function take(code: number, from: number, end: number): void {
    if (missing > 0 && code >= 128 && code < 192) {
      missing -= 1;
      point = point * 64 + (code & 63);
      if (missing === 0) whole(end);
      return;
    }
    finish(from);
    if (code < 128) {
      if (code !== LINE_FEED && code !== RETURN) emit(foldedCode(code), from, end);
      return;
    }
    start = from;
    missing = code >= WHOLE || code < 194 ? 0 : code < 224 ? 1 : code < 240 ? 2 : 3;
    point = code >= WHOLE ? code - WHOLE : code & (63 >> missing);
    if (missing === 0) whole(end);
  }

  function whole(end: number): void {
    if (point > 0x10ffff || !isUnseen(point)) emit(OTHER, start, end);
  }

  /** A character that broke off. */
  function finish(end: number): void {
    if (missing > 0) emit(OTHER, start, end);
    missing = 0;
  }

  return { take, openFrom: () => (missing > 0 ? start : undefined), end: () => finish(start + 1) };
}
