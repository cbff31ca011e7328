// Takes a credential out of what a service answers, also where it lies across two chunks. What is taken out is overwritten: lengths and ranges stay.
import { Transform } from 'node:stream';

/** Finds secrets in bytes. */
export interface SecretMatcher {
  /** The first secret that begins at `from` or later. */
  find(bytes: Buffer, from: number): { start: number; end: number } | undefined;
  /** How many bytes at the end may be the beginning of a secret. */
  unsure(bytes: Buffer): number;
}

/** Shorter ones stand in every text by chance. */
const MIN_BYTES = 6;

/** Secrets as they are, and as programs write them: in base64, percent-encoded, inside of JSON. */
export function matcherOf(secrets: string[]): SecretMatcher {
  const forms = secrets.flatMap((secret) => {
    const json = JSON.stringify(secret).slice(1, -1);
    const percent = encodeURIComponent(secret);
    const lower = percent.replace(/%../g, (byte) => byte.toLowerCase());
    return [
      secret,
      ...[0, 1, 2].flatMap((at) => base64Forms(secret, at)),
      json,
      json.replaceAll('/', '\\/'),
      percent,
      lower,
    ];
  });
  const needles = [...new Set(forms)].map((form) => Buffer.from(form)).filter(({ length }) => length >= MIN_BYTES);
  // Of two that begin at the same place the longer one counts.
  needles.sort((one, other) => other.length - one.length);
  const longest = needles[0]?.length ?? 0;
  return {
    find(bytes, from) {
      let found: { start: number; end: number } | undefined;
      for (const needle of needles) {
        const start = bytes.indexOf(needle, from);
        if (start >= 0 && (!found || start < found.start)) found = { start, end: start + needle.length };
      }
      return found;
    },
    unsure(bytes) {
      const isOpen = (size: number) => {
        const end = bytes.subarray(bytes.length - size);
        return needles.some((needle) => needle.length > size && needle.subarray(0, size).equals(end));
      };
      for (let size = Math.min(longest - 1, bytes.length); size > 0; size -= 1) if (isOpen(size)) return size;
      return 0;
    },
  };
}

/** As it looks in the base64 of a longer text, so many bytes behind a boundary: without the characters that its neighbours share. */
function base64Forms(secret: string, at: number): string[] {
  const bytes = Buffer.from('x'.repeat(at) + secret);
  const whole = bytes.toString('base64').slice(Math.ceil((at * 4) / 3), Math.floor((bytes.length * 4) / 3));
  const url = whole.replaceAll('+', '-').replaceAll('/', '_');
  return [whole, url, encodeURIComponent(whole)];
}

/** Overwrites all secrets that begin before `until`; returns how far the bytes are done. */
function overwrite(matcher: SecretMatcher, bytes: Buffer, until: number): number {
  let done = 0;
  for (let hit = matcher.find(bytes, 0); hit && hit.start < until; hit = matcher.find(bytes, done)) {
    bytes.fill('*', hit.start, hit.end);
    done = hit.end;
  }
  return Math.max(done, until);
}

export function redactText(matcher: SecretMatcher, text: string): string {
  const bytes = Buffer.from(text);
  overwrite(matcher, bytes, bytes.length);
  return bytes.toString();
}

/** Passes bytes on as they come; keeps back only what may be the beginning of a secret. */
export function createRedactor(matcher: SecretMatcher): Transform {
  let kept = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      // A copy: the bytes are changed.
      const bytes = Buffer.concat([kept, chunk]);
      const end = overwrite(matcher, bytes, bytes.length - matcher.unsure(bytes));
      kept = bytes.subarray(end);
      done(null, bytes.subarray(0, end));
    },
    flush(done) {
      const end = Buffer.from(kept);
      overwrite(matcher, end, end.length);
      done(null, end);
    },
  });
}
