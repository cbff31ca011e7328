// Which characters the bytes of an answer are: by their mark, what the site says, what the text itself says, or what they look like. Pure.
import { isUtf8 } from 'node:buffer';

const MARKS: [bytes: string, label: string][] = [
  ['\xef\xbb\xbf', 'utf-8'],
  ['\xff\xfe', 'utf-16le'],
  ['\xfe\xff', 'utf-16be'],
];
const LOOKED_AT_BYTES = 4_096;

function decoderFor(label: string | undefined) {
  try {
    return label ? new TextDecoder(label) : undefined;
  } catch {
    // A name that nobody knows says nothing.
    return undefined;
  }
}

/** The text without its byte order mark; `type` is the Content-Type header. Never throws: what is no character becomes U+FFFD. */
export function decodeText(bytes: Buffer, type: string): string {
  const start = bytes.toString('latin1', 0, LOOKED_AT_BYTES);
  const mark = MARKS.find(([first]) => start.startsWith(first))?.[1];
  const said = /charset\s*=\s*["']?([\w:.-]+)/i.exec(type)?.[1];
  const [, inXml, inHtml] =
    /<\?xml[^>]*?encoding\s*=\s*["']([\w:.-]+)|<meta[^>]*?charset\s*=\s*["']?([\w:.-]+)/i.exec(start) ?? [];
  // Words that could be read as ASCII cannot be in UTF-16, whatever they say.
  const written = (inXml ?? inHtml)?.replace(/^utf-?16.*/i, 'utf-8');
  const guess = isUtf8(bytes) ? 'utf-8' : 'windows-1252';
  const decoder = decoderFor(mark) ?? decoderFor(said) ?? decoderFor(written) ?? new TextDecoder(guess);
  // In one go, Node before 24 takes windows-1252 for Latin 1 (nodejs/node#56542).
  return decoder.decode(bytes, { stream: true }) + decoder.decode();
}

/** True for what a person could read as it is: declared as such, or valid UTF-8, and without NUL unless that belongs to the characters. */
export function isText(bytes: Buffer, type: string): boolean {
  const isWide =
    /charset\s*=\s*["']?utf-?(16|32)/i.test(type) || /^(\xff\xfe|\xfe\xff)/.test(bytes.toString('latin1', 0, 2));
  const isDeclared = /^text\/|[/+](json|xml)\b|javascript|yaml/i.test(type);
  return isWide || (!bytes.includes(0) && (isDeclared || isUtf8(bytes)));
}
