// The parts of a document that is a ZIP archive, and the elements of its XML. A name in it is a key and nothing more: nothing is unpacked to a
// disk, nothing it points to is opened, and no entity that it declares is resolved.
import { posix } from 'node:path';
import { Parser } from 'htmlparser2';
import yauzl, { type Entry } from 'yauzl';
import { decodeText } from './charset.js';

const MAX_ENTRIES = 20_000;
/** Unpacked: of one part, and of all that are read. What is beyond is left out. */
const MAX_PART_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 64 * 1024 * 1024;
/** So much is parsed before it is asked whether that was enough. */
const SLICE_CHARS = 65_536;
/** Far more than documents have: the parser's time grows with the square of it. */
const MAX_DEPTH = 2_000;
/** Phonetic hints, stops of tabs, the same once more for old programs, what was deleted, what a page does not show. */
const SKIPPED = /(^|:)(rPh|tabs|tabLst|Fallback|tracked-changes|annotation)$|^(head|script|style|template)$/;

/** It cannot be read without a password. */
export class Locked extends Error {}

export type Archive = Awaited<ReturnType<typeof openArchive>>;

/** Throws when it is damaged, or made of more files than a document has. */
export async function openArchive(bytes: Buffer) {
  // With decoded names the library refuses an archive for a single odd one.
  const zip = await yauzl.fromBufferPromise(bytes, { lazyEntries: true, decodeStrings: false }).catch((cause) => {
    throw new Error('it is damaged or cut off', { cause });
  });
  if (zip.entryCount > MAX_ENTRIES) throw new Error(`it is made of ${zip.entryCount} files`);
  const entries = new Map<string, Entry>();
  for await (const entry of zip.eachEntry()) entries.set(`${entry.fileName}`, entry);
  let [left, isCut] = [MAX_BYTES, false];

  /** Its text, empty when there is no such part. Throws Locked. */
  async function part(name: string): Promise<string> {
    const entry = entries.get(name);
    if (!entry) return '';
    if (entry.isEncrypted()) throw new Locked();
    const chunks: Buffer[] = [];
    let room = Math.min(left, MAX_PART_BYTES);
    left -= Math.min(room, entry.uncompressedSize);
    for await (const chunk of await zip.openReadStreamPromise(entry)) {
      chunks.push(chunk.subarray(0, room));
      room -= chunk.length;
      isCut ||= room < 0;
      if (room < 0) break;
    }
    return decodeText(Buffer.concat(chunks), '');
  }

  /** What a part points to, by the name that it uses for it: the names of other parts, and addresses. */
  async function targets(name: string): Promise<Map<string, string>> {
    const folder = posix.dirname(name);
    const found = elements(await part(`${folder}/_rels/${posix.basename(name)}.rels`), 'Relationship');
    return new Map(
      found.map(({ attributes: { Id = '', Target = '', TargetMode } }) => {
        return [Id, TargetMode === 'External' ? Target : posix.resolve('/', folder, Target).slice(1)];
      }),
    );
  }

  return { names: [...entries.keys()], part, targets, isCut: () => isCut };
}

export type Attributes = Record<string, string>;
export interface Handlers {
  open(name: string, attributes: Attributes): unknown;
  text(text: string): unknown;
  close(name: string): unknown;
}

/** Tells of the elements by their names without prefix, until `isFull`. What is no XML is skipped. Throws when it is nested too deeply. */
export function walk(
  xml: string,
  { open, text, close }: Handlers,
  { isHtml = false, isFull = () => false }: { isHtml?: boolean; isFull?: () => boolean } = {},
): void {
  const local = (name: string) => name.slice(name.indexOf(':') + 1);
  let [depth, skippedDepth] = [0, 0];
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        depth += 1;
        if (skippedDepth > 0 || SKIPPED.test(name)) skippedDepth += 1;
        else open(local(name), attributes);
      },
      ontext: (words) => skippedDepth === 0 && text(words),
      onclosetag(name) {
        depth -= 1;
        if (skippedDepth > 0) skippedDepth -= 1;
        else close(local(name));
      },
    },
    { xmlMode: !isHtml, recognizeSelfClosing: true },
  );
  for (let at = 0; at < xml.length && !isFull(); at += SLICE_CHARS) {
    parser.write(xml.slice(at, at + SLICE_CHARS));
    if (depth > MAX_DEPTH) throw new Error('it is nested too deeply');
  }
  parser.end();
}

type Element = { name: string; attributes: Attributes; text: string };

/** Each element with such a name in the order they begin, with the text up to the next one or its own end. */
export function each(xml: string, names: string[], take: (element: Element) => void, isFull = () => false): void {
  let current: Element | undefined;
  function end(next?: Element): void {
    if (current) take(current);
    current = next;
  }
  const handlers: Handlers = {
    open: (name, attributes) => names.includes(name) && end({ name, attributes, text: '' }),
    text(words) {
      if (current) current.text += words;
    },
    close: (name) => name === current?.name && end(),
  };
  walk(xml, handlers, { isFull });
}

export function elements(xml: string, ...names: string[]): Element[] {
  const found: Element[] = [];
  each(xml, names, (element) => found.push(element));
  return found;
}
