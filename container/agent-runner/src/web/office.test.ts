// Documents as they come with messages, read by the real reader; and those made to break it.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  docxParts,
  makeCrowdedZip,
  makeDocx,
  makeEpub,
  makeOpenDocument,
  makePptx,
  makeXlsx,
  makeZip,
  paragraph,
  xlsxParts,
} from '../testing/documents.js';
import { bundleReader, makePdf } from '../testing/sites.js';
import type { Document } from './document.js';
import { createWeb, type Web } from './web.js';

let reader: string;
let web: Web;
beforeAll(async () => {
  reader = await bundleReader();
  web = createWeb({ port: 1, reader });
});
const read = (bytes: Buffer, type = ''): Promise<Document> =>
  web.read(bytes, { url: '/workspace/inbox/file', type }, new AbortController().signal);

describe('documents', () => {
  test('Word: headings whatever their language, lists, tables, links, notes; nothing that was deleted', async () => {
    const cell = (text: string) => `<w:tc>${paragraph(text)}</w:tc>`;
    const body = [
      paragraph('Our offer', '<w:pStyle w:val="berschrift1"/>'),
      `<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:r><w:t>Two</w:t><w:tab/><w:t xml:space="preserve"> parts &amp; more</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:footnoteReference w:id="2"/></w:r></w:p>`,
      paragraph('one', '<w:numPr><w:ilvl w:val="0"/></w:numPr>'),
      paragraph('two', '<w:pStyle w:val="ListBullet"/>'),
      '<w:p><w:hyperlink r:id="r1"><w:r><w:t>the list</w:t></w:r></w:hyperlink></w:p>',
      `<w:tbl><w:tr>${cell('What')}${cell('Price')}</w:tr><w:tr>${cell('Tea|Pot')}${cell('3 €')}</w:tr></w:tbl>`,
      '<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:r><w:t>boxed</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>',
    ].join('');
    const notes = `<w:footnotes><w:footnote w:id="2">${paragraph('by law')}</w:footnote></w:footnotes>`;
    const { about, text, note } = await read(makeDocx(body, { 'word/footnotes.xml': notes }));
    expect(about).toMatchObject({ title: 'An offer', author: 'Ann', format: 'text document' });
    expect(note).toBeUndefined();
    expect(text).toBe(`# Our offer
Two\t parts & more[footnote 2]
- one
- two
the list (https://a.example/x?a=1&b=2)
| What | Price |
| Tea\\|Pot | 3 € |
boxed
[footnote 2] by law`);
  });

  test('Excel: each sheet by its name, texts, dates, formulas, gaps', async () => {
    const rows = `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>
      <row r="3"><c r="A3" s="1"><v>46023</v></c><c r="B3" s="2"><v>46023.5</v></c><c r="C3" s="3"><v>2.5</v></c><c r="D3" t="b"><v>1</v></c></row>
      <row r="4"><c r="A4"><f>SUM(A1:A3)</f><v>12</v></c><c r="B4"><f>NOW()</f><v/></c><c r="C4" t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c><c r="D4" t="e"><v>#N/A</v></c></row>`;
    const shared = ['<t>day</t>', '<r><t>a | </t></r><r><t>b\nc</t></r><rPh><t>hint</t></rPh>'];
    const { about, text } = await read(
      makeXlsx(
        [
          ['Costs &amp; more', rows],
          ['Empty', ''],
        ],
        shared,
      ),
    );
    expect(about.format).toBe('spreadsheet, 2 sheets');
    expect(text.split('\n').filter(Boolean)).toEqual([
      '## Sheet: Costs & more (row number, then columns from A)',
      '| 1 | day |  | a \\| b c |',
      '| 3 | 2026-01-01 | 2026-01-01 12:00:00 | 2.5 | 1 |',
      '| 4 | 12 | =NOW() | inline | #N/A |',
      '## Sheet: Empty (row number, then columns from A)',
    ]);
  });

  test('EPUB: chapters in the order of the book', async () => {
    const { about, text } = await read(
      makeEpub([
        '<h2>Second</h2><p>It is&nbsp;<i>blue</i>.<br/>Yes</p><pre>a\n  b</pre>',
        '<h1>First</h1><ul><li><p>salt</p></li></ul>',
      ]),
    );
    expect(about).toMatchObject({ title: 'The Sea', author: 'Jo', format: 'EPUB, 2 parts' });
    expect(text).toBe('# First\n- salt\n\n## Second\nIt is blue.\nYes\na\n  b');
  });

  test('slides with their notes; LibreOffice text and sheets', async () => {
    const slide =
      '<p:sp><p:nvSpPr><p:nvPr><p:ph type="ctrTitle"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>Plan</a:t></a:r></a:p><a:p><a:r><a:t>go</a:t></a:r></a:p></p:txBody></p:sp>';
    expect((await read(makePptx(slide, 'say hello'))).text).toBe('## Slide 1\n\n### Plan\ngo\nNotes:\nsay hello');
    const words =
      '<text:h text:outline-level="2">How</text:h><text:p>See <text:a xlink:href="https://a.example/">this</text:a>\n</text:p>';
    expect(await read(makeOpenDocument('text', words))).toMatchObject({
      about: { title: 'A note', format: 'OpenDocument text' },
      text: '## How\nSee this (https://a.example/)',
    });
    const sheet =
      '<table:table table:name="May"><table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>7</text:p></table:table-cell><table:table-cell table:number-columns-repeated="16000"/></table:table-row><table:table-row table:number-rows-repeated="1048576"><table:table-cell/></table:table-row></table:table>';
    expect((await read(makeOpenDocument('spreadsheet', sheet))).text).toBe('## Sheet: May\n| 7 | 7 |');
  });

  test('a table of an old program is read in its characters', async () => {
    expect((await read(Buffer.from('Größe;Maß', 'latin1'), 'text/plain')).text).toBe('Größe;Maß');
  });

  const old = (stream: string) =>
    Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600), Buffer.from(stream, 'utf16le')]);
  const lockedBook = { 'META-INF/encryption.xml': '<e><CipherReference URI="OEBPS/text/chapter%200.xhtml"/></e>' };
  const lockedText = { 'META-INF/manifest.xml': '<m:file-entry><m:encryption-data/></m:file-entry>' };
  test.each([
    ['Word of 2003', old('WordDocument'), 'legacy'],
    ['Excel with a password', old('EncryptedPackage'), 'password'],
    ['binary Excel', makeZip({ 'xl/workbook.bin': 'x' }), 'legacy'],
    ['Pages', makeZip({ 'Index/Document.iwa': 'x' }), 'legacy'],
    ['an archive with a password', makeZip(docxParts(''), { flags: 1 }), 'password'],
    ['LibreOffice with a password', makeOpenDocument('text', '', lockedText), 'password'],
    ['a book locked by its shop', makeEpub(['x'], lockedBook), 'password'],
    ['any other archive', makeZip({ 'a.txt': 'x' }), 'binary'],
  ])('%s is named as such', async (_name, bytes, note) => {
    expect(await read(bytes)).toMatchObject({ text: '', note });
  });

  test('fonts that are locked do not lock a book', async () => {
    const fonts = { 'META-INF/encryption.xml': '<e><CipherReference URI="OEBPS/fonts/a.otf"/></e>' };
    expect((await read(makeEpub(['<p>open</p>'], fonts))).text).toBe('open');
  });
});

describe('documents made to break the reader', () => {
  const text = (length: number) => Buffer.alloc(length, paragraph('word '.repeat(20)));

  test('parts that unpack to half a gigabyte are read to the limit', async () => {
    const bomb = Buffer.alloc(256 * 1024 * 1024, ' ');
    const bytes = makeDocx(paragraph('first'), { 'word/footnotes.xml': bomb, 'word/comments.xml': bomb });
    expect(await read(bytes)).toMatchObject({ text: 'first', note: 'cut' });
  }, 60_000);

  test('sizes that are not true are no way around it', async () => {
    await expect(read(makeZip(docxParts(text(30_000_000).toString()), { size: 10 }))).rejects.toThrow(
      'could not be read',
    );
  });

  test('a million files are refused at once', async () => {
    const bytes = makeCrowdedZip(1_000_000);
    await expect(read(bytes)).rejects.toThrow('made of 1000000 files');
  });

  test('names that lead elsewhere are names only', async () => {
    const away = { '../../etc/passwd': 'x', '/etc/shadow': 'x', 'C:\\x': 'x', constructor: 'x', __proto__2: 'x' };
    expect((await read(makeDocx(paragraph('here'), away))).text).toBe('here');
    const targets = `<Relationships><Relationship Id="r1" Target="../../../../etc/passwd"/></Relationships>`;
    const parts = { ...xlsxParts([['a', '']]), 'xl/_rels/workbook.xml.rels': targets };
    expect((await read(makeZip(parts))).text).not.toContain('root');
  });

  test('entities are neither multiplied nor fetched', async () => {
    const doctype = `<!DOCTYPE w [<!ENTITY a "boo"><!ENTITY b "${'&a;'.repeat(100)}"><!ENTITY c SYSTEM "file:///etc/passwd"><!ENTITY % d SYSTEM "http://127.0.0.1:1/x"> %d;]>`;
    const document = `${doctype}<w:document><w:body>${paragraph('&b;&c;|end')}</w:body></w:document>`;
    expect((await read(makeDocx('', { 'word/document.xml': document }))).text).toBe('&b;&c;|end');
  });

  test('a sheet of 100 MB gives its first rows, and the other sheets', async () => {
    const row = '<row><c t="str"><v>some text in a cell</v></c><c><v>12345</v></c></row>';
    const bytes = makeXlsx([
      ['Huge', Buffer.alloc(100_000_000, row).toString()],
      ['Small', '<row r="1"><c r="XFD1"><v>9</v></c><c r="B1"><v>8</v></c></row>'],
    ]);
    const { text, note } = await read(bytes);
    expect(note).toBe('cut');
    expect(text.match(/some text/g)?.length).toBeGreaterThanOrEqual(10_000);
    expect(text).toMatch(/\| 1 \| {2}\| 8 \|$/);
  });

  test('a document with more text than is shown says so', async () => {
    const { text: shown, note } = await read(makeDocx(text(6_000_000).toString()));
    expect(shown.length).toBeGreaterThan(999_000);
    expect(shown.length).toBeLessThanOrEqual(1_000_000);
    expect(note).toBe('cut');
  });

  test.each([
    ['cut off', makeDocx(paragraph('word')).subarray(0, -40)],
    ['without an end', Buffer.from('PK\x03\x04 and nothing')],
  ])('a file that is %s says so', async (_name, bytes) => {
    await expect(read(bytes)).rejects.toThrow('damaged or cut off');
  });

  test.each([
    ['elements in elements', '<w:p>'.repeat(300_000)],
    ['tables in tables', '<w:tbl><w:tr><w:tc>'.repeat(50_000)],
    ['a single attribute', `<w:p x="${'y'.repeat(5_000_000)}">`],
    ['open tags only', '<'.repeat(5_000_000)],
    ['ends without starts', '</w:p>'.repeat(1_000_000)],
  ])('%s: it ends, with what came before or why not', async (_name, body) => {
    const said = await read(makeDocx(paragraph('core') + body)).catch(String);
    expect(typeof said === 'string' ? said : said.text).toMatch(/core|nested too deeply/);
  });

  test('a PDF of very many pages gives those it got to', async () => {
    const hasty = createWeb({ port: 1, reader, readMs: 3_000 });
    const bytes = makePdf('again and again', undefined, 20_000);
    const { text, note } = await hasty.read(bytes, { url: 'a.pdf', type: '' }, new AbortController().signal);
    expect(text).toContain('[PDF page 50]\nagain and again');
    expect(note).toBe('cut');
  }, 60_000);
});
