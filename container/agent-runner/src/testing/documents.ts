// For tests: small documents as programs write them, made here.
import { crc32, deflateRawSync } from 'node:zlib';

type Parts = Record<string, string | Buffer>;
interface ZipOptions {
  /** Said of each part; the real size where there is none. */
  size?: number;
  flags?: number;
}

/** A ZIP archive, each part deflated. */
export function makeZip(parts: Parts, { size, flags = 0 }: ZipOptions = {}): Buffer {
  const [files, list]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const [name, content] of Object.entries(parts)) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const title = Buffer.from(name);
    const about = Buffer.alloc(26);
    about.writeUInt16LE(20, 0);
    about.writeUInt16LE(flags, 2);
    about.writeUInt16LE(8, 4);
    about.writeUInt32LE(crc32(bytes), 10);
    about.writeUInt32LE(packed.length, 14);
    about.writeUInt32LE(size ?? bytes.length, 18);
    about.writeUInt16LE(title.length, 22);
    files.push(Buffer.from('PK\x03\x04'), about, title, packed);
    const where = Buffer.alloc(14);
    where.writeUInt32LE(offset, 10);
    list.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), about, where, title);
    offset += 30 + title.length + packed.length;
  }
  return Buffer.concat([...files, ...list, zipEnd(Object.keys(parts).length, Buffer.concat(list).length, offset)]);
}

function zipEnd(count: number, length: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(length, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}

/** One of a million empty files: their list alone, with the end that large archives have. */
export function makeCrowdedZip(count: number): Buffer {
  const entry = Buffer.alloc(47);
  entry.write('PK\x01\x02');
  entry.writeUInt16LE(1, 28);
  entry.write('a', 46);
  const start = Buffer.from('PK\x03\x04');
  const end = Buffer.alloc(76);
  end.write('PK\x06\x06');
  end.writeBigUInt64LE(44n, 4);
  for (const at of [24, 32]) end.writeBigUInt64LE(BigInt(count), at);
  end.writeBigUInt64LE(BigInt(count * entry.length), 40);
  end.writeBigUInt64LE(BigInt(start.length), 48);
  end.write('PK\x06\x07', 56);
  end.writeBigUInt64LE(BigInt(start.length + count * entry.length), 64);
  end.writeUInt32LE(1, 72);
  const all = 0xffff_ffff;
  const last = zipEnd(0xffff, all, all);
  return Buffer.concat([start, Buffer.alloc(count * entry.length, entry), end, last]);
}

const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const rels = (...found: [id: string, target: string, mode?: string][]) =>
  `${XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${found
    .map(([id, target, mode]) => `<Relationship Id="${id}" Target="${target}"${mode ? ` TargetMode="${mode}"` : ''}/>`)
    .join('')}</Relationships>`;
const core = (title: string, author: string) =>
  `${XML}<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>${title}</dc:title><dc:creator>${author}</dc:creator></cp:coreProperties>`;

export function docxParts(body: string, more: Parts = {}): Parts {
  return {
    '[Content_Types].xml': `${XML}<Types/>`,
    'docProps/core.xml': core('An offer', 'Ann'),
    'word/styles.xml': `${XML}<w:styles><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>`,
    'word/_rels/document.xml.rels': rels(['r1', 'https://a.example/x?a=1&amp;b=2', 'External']),
    'word/document.xml': `${XML}<w:document xmlns:w="w"><w:body>${body}</w:body></w:document>`,
    ...more,
  };
}
export const paragraph = (text: string, properties = '') =>
  `<w:p>${properties && `<w:pPr>${properties}</w:pPr>`}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;
export const makeDocx = (body: string, more?: Parts) => makeZip(docxParts(body, more));

/** `sheets`: names and the XML of their rows. */
export function xlsxParts(sheets: [name: string, rows: string][], shared: string[] = []): Parts {
  return {
    'xl/workbook.xml': `${XML}<workbook xmlns:r="r"><sheets>${sheets.map(([name], at) => `<sheet name="${name}" sheetId="${at + 1}" r:id="r${at + 1}"/>`).join('')}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': rels(
      ...sheets.map((_, at): [string, string] => [`r${at + 1}`, `worksheets/sheet${at + 1}.xml`]),
      ['s', '/xl/sharedStrings.xml'],
    ),
    'xl/styles.xml': `${XML}<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd/mm/yyyy&quot; h&quot;"/><numFmt numFmtId="165" formatCode="[Red]0.00&quot; days&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>`,
    'xl/sharedStrings.xml': `${XML}<sst>${shared.map((text) => `<si>${text}</si>`).join('')}</sst>`,
    ...Object.fromEntries(
      sheets.map(([, rows], at) => [
        `xl/worksheets/sheet${at + 1}.xml`,
        `${XML}<worksheet><sheetData>${rows}</sheetData></worksheet>`,
      ]),
    ),
  };
}
export const makeXlsx = (...all: Parameters<typeof xlsxParts>) => makeZip(xlsxParts(...all));

/** `chapters`: the bodies of its pages, in their order; `more`: other parts. */
export function makeEpub(chapters: string[], more: Parts = {}): Buffer {
  const list = (tag: (at: number) => string) => chapters.map((_, at) => tag(at)).join('');
  const pages = chapters.map((body, at) => [
    `OEBPS/text/chapter ${at}.xhtml`,
    `${XML}<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><style>p{}</style></head><body>${body}</body></html>`,
  ]);
  return makeZip({
    mimetype: 'application/epub+zip',
    'META-INF/container.xml': `${XML}<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>`,
    'OEBPS/book.opf': `${XML}<package><metadata xmlns:dc="d"><dc:title>The Sea</dc:title><dc:creator>Jo</dc:creator></metadata><manifest>${list((at) => `<item id="c${at}" href="text/chapter%20${at}.xhtml"/>`)}</manifest><spine>${list((at) => `<itemref idref="c${chapters.length - 1 - at}"/>`)}</spine></package>`,
    ...Object.fromEntries(pages.reverse()),
    ...more,
  });
}

export const makePptx = (slide: string, notes: string) =>
  makeZip({
    'ppt/presentation.xml': `${XML}<p:presentation><p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst></p:presentation>`,
    'ppt/_rels/presentation.xml.rels': rels(['r1', 'slides/slide1.xml']),
    'ppt/slides/slide1.xml': `${XML}<p:sld>${slide}</p:sld>`,
    'ppt/slides/_rels/slide1.xml.rels': rels(['n', '../notesSlides/notesSlide1.xml']),
    'ppt/notesSlides/notesSlide1.xml': `${XML}<p:notes><a:p><a:r><a:t>${notes}</a:t></a:r></a:p></p:notes>`,
  });

export const makeOpenDocument = (kind: string, content: string, more: Parts = {}) =>
  makeZip({
    mimetype: `application/vnd.oasis.opendocument.${kind}`,
    'content.xml': `${XML}<office:document-content><office:body>${content}</office:body></office:document-content>`,
    'meta.xml': `${XML}<office:document-meta><office:meta><dc:title>A note</dc:title></office:meta></office:document-meta>`,
    ...more,
  });
