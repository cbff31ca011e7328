// Files of Word, Excel, PowerPoint, LibreOffice and books (EPUB): all of them are archives of XML.
import { posix } from 'node:path';
import { type Archive, type Attributes, elements, Locked, openArchive, walk } from './archive.js';
import type { Document } from './document.js';
import { createOutline, type Outline } from './outline.js';
import { readSheets } from './sheets.js';

/** Binary Excel, Pages, Numbers, Keynote: archives, but not of XML. */
const CLOSED = /^xl\/workbook\.bin$|\.iwa$/;

/** For what begins as an archive, or as Office files did before 2007; undefined for the rest. Throws when it is damaged. */
export async function readOffice(bytes: Buffer, maxChars: number): Promise<Document | undefined> {
  const start = bytes.toString('latin1', 0, 4);
  const nothing = (note: Document['note']) => ({ about: {}, text: '', note });
  // Names in these files are in UTF-16.
  if (start === '\xd0\xcf\x11\xe0')
    return nothing(bytes.includes(Buffer.from('EncryptedPackage', 'utf16le')) ? 'password' : 'legacy');
  if (start !== 'PK\x03\x04') return undefined;
  try {
    const archive = await openArchive(bytes);
    const read = readers.find(([name]) => archive.names.includes(name))?.[1];
    if (!read) return nothing(archive.names.some((name) => CLOSED.test(name)) ? 'legacy' : 'binary');
    const outline = createOutline(maxChars);
    const { format, isCut } = await read(archive, outline);
    const note = isCut || archive.isCut() || outline.isFull() ? 'cut' : undefined;
    return { about: { ...(await aboutOf(archive)), format }, text: outline.text(), note };
  } catch (error) {
    if (error instanceof Locked) return nothing('password');
    throw error;
  }
}

/** By a part that each format has. */
const readers: [
  part: string,
  reader: (archive: Archive, outline: Outline) => Promise<{ format: string; isCut?: boolean }>,
][] = [
  ['word/document.xml', readWord],
  ['xl/workbook.xml', readSheets],
  ['ppt/presentation.xml', readSlides],
  ['META-INF/container.xml', readBook],
  ['content.xml', readOpenDocument],
];

async function readWord({ part, targets, names }: Archive, { handlers, isFull }: Outline) {
  const headings = new Map<string, string>();
  let style = '';
  for (const { name, attributes } of elements(await part('word/styles.xml'), 'style', 'name')) {
    if (name === 'style') style = attributes['w:styleId'] ?? '';
    // What people see of this name is translated.
    const level = /^(?:heading ([1-6])|title)$/i.exec(name === 'name' ? (attributes['w:val'] ?? '') : '');
    if (level) headings.set(style, `${'#'.repeat(Number(level[1] ?? 1))} `);
  }
  const others = names.filter((name) => /^word\/(footnotes|endnotes|comments|header\d*|footer\d*)\.xml$/.test(name));
  for (const name of ['word/document.xml', ...others]) {
    const addresses = await targets(name);
    const link = (attributes: Attributes) => addresses.get(attributes['r:id'] ?? '');
    walk(await part(name), handlers({ isOffice: true, link, headings }), { isFull });
  }
  return { format: 'text document' };
}

async function readSlides({ part, targets }: Archive, { handlers, add, isFull }: Outline) {
  const files = await targets('ppt/presentation.xml');
  const slides = elements(await part('ppt/presentation.xml'), 'sldId');
  for (const [at, { attributes }] of slides.entries()) {
    if (isFull()) break;
    const slide = files.get(attributes['r:id'] ?? '') ?? '';
    const notes = [...(await targets(slide)).values()].find((name) => name.includes('/notesSlides/')) ?? '';
    add(`\n## Slide ${at + 1}`);
    walk(await part(slide), handlers({ isOffice: true }), { isFull });
    if (notes) add('Notes:');
    walk(await part(notes), handlers({ isOffice: true }), { isFull });
  }
  return { format: `presentation, ${slides.length} slides` };
}

async function readOpenDocument({ part }: Archive, { handlers, add, isFull }: Outline) {
  if ((await part('META-INF/manifest.xml')).includes('encryption-data')) throw new Locked();
  const format = (await part('mimetype')).split('.').at(-1) ?? '';
  const { open, ...rest } = handlers({ link: (attributes) => attributes['xlink:href'] });
  const openNamed = (name: string, attributes: Attributes) => {
    const title = attributes['table:name'] ?? attributes['draw:name'];
    if (format !== 'text' && /^(table|page)$/.test(name)) add(`\n## ${name === 'page' ? 'Slide' : 'Sheet'}: ${title}`);
    open(name, attributes);
  };
  walk(await part('content.xml'), { ...rest, open: openNamed }, { isFull });
  return { format: `OpenDocument ${format}` };
}

/** Chapters in the order that the list in it says. */
async function readBook({ part }: Archive, { handlers, isFull }: Outline) {
  // Fonts may be locked; a shop locks the pages.
  if (/URI="[^"]*html?"/i.test(await part('META-INF/encryption.xml'))) throw new Locked();
  const list = await listOf(part);
  const items = elements(await part(list), 'item', 'itemref');
  const hrefs = new Map(items.map(({ attributes: { id = '', href = '' } }) => [id, href]));
  const chapters = items.filter(({ name }) => name === 'itemref');
  for (const { attributes } of chapters) {
    if (isFull()) break;
    const href = (hrefs.get(attributes.idref ?? '') ?? '').replace(/(%[\da-f]{2})+/gi, (codes) =>
      Buffer.from(codes.replaceAll('%', ''), 'hex').toString(),
    );
    const page = await part(posix.join(posix.dirname(list), href));
    walk(page, handlers({ link: ({ href }) => href }), { isHtml: true, isFull });
  }
  return { format: `EPUB, ${chapters.length} parts` };
}

const listOf = async (part: Archive['part']): Promise<string> =>
  elements(await part('META-INF/container.xml'), 'rootfile')[0]?.attributes['full-path'] ?? '';

/** What it is called and who wrote it, wherever that stands. */
async function aboutOf({ part }: Archive): Promise<Document['about']> {
  const places = await Promise.all(['docProps/core.xml', 'meta.xml', await listOf(part)].map(part));
  const found = elements(places.join('\n'), 'title', 'creator', 'initial-creator');
  const textOf = (wanted: RegExp) => found.find(({ name, text }) => wanted.test(name) && text.trim())?.text;
  return { title: textOf(/^title$/), author: textOf(/creator$/) };
}
