// Pages through the real proxy, read by the real reader.
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTlsSite } from '../../../../src/egress/testing/sites.js';
import { bundleReader, type Door, makePdf, startDoor } from '../testing/sites.js';
import type { Document } from './document.js';
import { MAX_BYTES, readUrl } from './request.js';
import { createWeb, type Web } from './web.js';

let door: Door;
let reader: string;
let web: Web;
beforeAll(async () => {
  [door, reader] = await Promise.all([startDoor(), bundleReader()]);
  web = createWeb({ port: door.inside.port, reader });
});
afterAll(() => door.close());

const never = new AbortController().signal;
const get = (at: string, signal = never) => web.get(readUrl(at.startsWith('/') ? door.url(at) : at), signal);
const textOf = (body: string | Buffer, type = 'text/html'): Promise<Document> =>
  web.read(Buffer.from(body), { url: 'https://site.example/dir/page', type }, never);

describe('requests', () => {
  test('redirects are followed, each hop asked for anew, to the address that is told', async () => {
    door.serve('/end', 'text/plain', 'here');
    door.answer('/a', (response) => response.writeHead(302, { location: '/b?x=1#part' }).end());
    door.answer('/b', (response) => response.writeHead(308, { location: door.url('/end') }).end());
    const answer = await get('/a');
    expect(answer).toMatchObject({
      url: door.url('/end'),
      status: 200,
      type: 'text/plain',
      bytes: Buffer.from('here'),
    });
    expect(door.site.seen.slice(-3).map(({ line }) => line)).toEqual(['GET /a', 'GET /b?x=1', 'GET /end']);
  });

  test.each([
    ['/loop', 'redirects more than 5 times'],
    ['http://10.0.0.1/', 'egress to 10.0.0.1 is refused'],
    ['http://127.0.0.1:8080/work', 'egress to 127.0.0.1 is refused'],
    ['ftp://site.example/x', 'only http and https'],
    ['javascript:alert(1)', 'only http and https'],
    ['http://ann:secret@site.example/', 'user name'],
    ['https://other.example/', 'egress to other.example is not allowed yet. Approval'],
  ])('a redirect to %s ends there', async (target, why) => {
    door.answer('/loop', (response) => response.writeHead(301, { location: target }).end());
    await expect(get('/loop')).rejects.toThrow(why);
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ])('a body in %s is read', async (coding, encode) => {
    door.serve('/coded', 'text/plain', encode(Buffer.from('some words')), { 'content-encoding': coding });
    expect((await get('/coded')).bytes.toString()).toBe('some words');
  });

  test.each([
    ['a bomb', gzipSync(Buffer.alloc(200 * 1024 * 1024)), 'gzip', 'larger than 5 MB'],
    ['damaged', Buffer.from('no gzip at all'), 'gzip', 'damaged data'],
    ['in an unknown coding', Buffer.from('x'), 'compress', 'coded as compress'],
    ['a byte too long', Buffer.alloc(MAX_BYTES + 1, 'x'), 'identity', 'larger than 5 MB'],
  ])('a body that is %s is told as such', async (_what, body, coding, why) => {
    door.serve('/bad', 'text/plain', body, { 'content-encoding': coding });
    await expect(get('/bad')).rejects.toThrow(why);
  });

  test('a body without end, or of the largest size, stays within the limit', async () => {
    door.serve('/most', 'text/plain', Buffer.alloc(MAX_BYTES, 'x'));
    expect((await get('/most')).bytes.length).toBe(MAX_BYTES);
    let sent = 0;
    door.answer('/endless', (response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x'))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    await expect(get('/endless')).rejects.toThrow('larger than 5 MB');
    expect(sent).toBeLessThan(50 * 1024 * 1024);
  });

  test('a site that is slow ends at the time limit, and so does an abort', async () => {
    const hasty = createWeb({ port: door.inside.port, reader, limitMs: 500 });
    for (const [at, answer] of [
      ['/silent', () => undefined],
      ['/slow', (r: import('node:http').ServerResponse) => void r.write('a')],
    ] as const) {
      door.answer(at, answer);
      await expect(hasty.get(readUrl(door.url(at)), never)).rejects.toThrow('no whole answer within 0.5 s');
    }
    const stopped = new AbortController();
    const asked = get('/slow', stopped.signal);
    stopped.abort();
    await expect(asked).rejects.toThrow();
  });

  test.each([
    ['http://nowhere.example:9/', 'nothing listens there'],
    ['http://unknown.example/', 'there is no such host'],
    ['http://site.example:PORT/reset', 'closed the connection'],
    ['https://site.example:PORT/', 'does not speak TLS'],
  ])('%s fails in plain words', async (url, why) => {
    door.inside.allow('nowhere.example', [9]);
    door.inside.allow('unknown.example', [80], null);
    door.answer('/reset', (response) => response.destroy());
    await expect(get(url.replace('PORT', `${door.site.port}`))).rejects.toThrow(why);
  });
});

describe('texts', () => {
  test.each([
    ['Shift_JIS by its header', '93fa967b8cea', 'text/plain; charset=Shift_JIS', '日本語'],
    ['GB18030 by its header', 'd6d0cec4', 'text/plain;charset="gb18030"', '中文'],
    ['windows-1252 by its look', '636166e920932094', 'text/plain', 'café “ ”'],
    ['UTF-16 by its mark', 'fffe41004200', 'text/plain', 'AB'],
    ['UTF-16 big endian by its mark', 'feff00410042', 'application/octet-stream', 'AB'],
    ['UTF-8 by its mark, whatever is said', 'efbbbfc3a9', 'text/plain; charset=latin1', 'é'],
    ['an unknown name', 'c3a9', 'text/plain; charset=nobody-knows', 'é'],
  ])('%s', async (_name, hex, type, expected) => {
    expect((await textOf(Buffer.from(hex, 'hex'), type)).text).toBe(expected);
  });

  test('a page may name its characters itself', async () => {
    const words = Buffer.concat([
      Buffer.from('<html><head><meta charset="shift_jis"></head><body><p>'),
      Buffer.from('93fa967b8cea', 'hex'),
    ]);
    expect((await textOf(words)).text).toBe('日本語');
    const xml = Buffer.concat([
      Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>'),
      Buffer.from('e9', 'hex'),
      Buffer.from('</a>'),
    ]);
    expect((await textOf(xml, 'application/xml')).text).toContain('<a>é</a>');
    expect((await textOf('<meta charset="utf-16"><p>plain', 'text/html')).text).toBe('plain');
  });

  test('JSON is laid out, what is none stays as it is, and so do Markdown and tables', async () => {
    expect((await textOf('{"a":[1]}', 'application/json')).text).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect((await textOf('{"a":', 'application/ld+json')).text).toBe('{"a":');
    expect((await textOf('# <b>\n', 'text/markdown')).text).toBe('# <b>\n');
    expect((await textOf('a,b\n1,2', 'text/csv')).text).toBe('a,b\n1,2');
    expect((await textOf('<html><p>not shown as a page', 'text/plain')).text).toContain('<html>');
    expect(await textOf(Buffer.from([31, 139, 8, 0, 0, 0]), 'application/gzip')).toMatchObject({
      text: '',
      note: 'binary',
    });
    expect(await textOf('', 'text/html')).toMatchObject({ text: '' });
  });

  test('a page becomes Markdown with what is known of it', async () => {
    const { about, text } =
      await textOf(`<!doctype html><html><head><title>Tea - Kettle</title><meta name="author" content="Ann Lee">
      <meta property="og:site_name" content="Kettle"><meta property="article:published_time" content="2026-05-01T08:00:00Z"></head>
      <body><nav><a href="/">Home</a><a href="/all">All</a></nav><article><h1>Tea</h1><p>${'Water is heated. '.repeat(30)}</p>
      <h2>How</h2><p>See <a href="../more?a=1&amp;b=2">more</a> and <a href="javascript:alert(1)">this</a>.</p>
      <p style="display:none">nobody sees this</p><div hidden>nor this</div><img src="data:image/png;base64,${'A'.repeat(5000)}">
      <table><tr><th>kind</th><th>min</th></tr><tr><td>a|b</td><td>3</td></tr></table>
      <pre><code class="language-js">if (a &lt; b) go();</code></pre></article><script>var hidden = 1</script><style>p{}</style>
      </body></html>`);
    expect(about).toMatchObject({
      title: 'Tea',
      author: 'Ann Lee',
      site: 'Kettle',
      published: expect.stringContaining('2026-05-01'),
    });
    for (const part of [
      '## How',
      '[more](https://site.example/more?a=1&b=2)',
      '| kind | min |',
      '```js\nif (a < b) go();\n```',
    ])
      expect(text).toContain(part);
    for (const gone of ['javascript:', 'nobody sees', 'nor this', 'var hidden', 'AAAA', 'Home'])
      expect(text).not.toContain(gone);
  });

  test('a page that scripts fill says so', async () => {
    const app =
      '<html><head><title>App</title></head><body><div id="root"></div><script src="/app.js"></script></body></html>';
    expect(await textOf(app)).toMatchObject({ note: 'scripts', about: { title: 'App' } });
    expect((await textOf('<p>short</p>')).note).toBeUndefined();
  });

  const item =
    '<item><title>One &amp;amp; two</title><link>/1</link><pubDate>Mon, 02 Nov 2026 10:00:00 GMT</pubDate><description>&lt;p&gt;Hello &lt;b&gt;you&lt;/b&gt;&lt;/p&gt;</description></item>';
  const entry =
    '<entry><title>One &amp; two</title><link rel="self" href="/no"/><link href="/1"/><published>2026-11-02</published><summary>Hello you</summary></entry>';
  test.each([
    [
      'RSS',
      `<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>${item}</channel></rss>`,
      'application/rss+xml',
    ],
    [
      'Atom',
      `<!-- by hand --><feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>${entry}</feed>`,
      'text/xml',
    ],
    [
      'RDF',
      `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>News</title></channel>${item.replace(/<pubDate>.*<.pubDate>/, '<dc:date>2026-11-02</dc:date>')}</rdf:RDF>`,
      'text/plain',
    ],
    [
      'JSON',
      '{"version":"https://jsonfeed.org/version/1.1","title":"News","items":[{"id":"1","url":"/1","title":"One & two","content_html":"<p>Hello <b>you</b></p>","date_published":"2026-11-02"}]}',
      'application/feed+json',
    ],
  ])('a feed in %s is a list of its entries', async (_format, source, type) => {
    const { about, text } = await textOf(source, type);
    expect(about.title).toBe('News');
    expect(text).toMatch(/^- One & two\n {2}\S*.*(2026|Nov).*\n {2}https:\/\/site\.example\/1\n {2}Hello you$/);
  });

  test('a feed that is cut off is shown as it is', async () => {
    const cut = '<rss version="2.0"><channel><title>News & more</title><item><title>One';
    expect((await textOf(cut, 'application/rss+xml')).text).toContain('<title>One');
  });

  test('a PDF gives its text, page by page; a scan, a locked and a damaged one say so', async () => {
    expect(await textOf(makePdf('Hello from a page'), 'application/pdf')).toMatchObject({
      about: { title: 'A small one', author: 'Ann', format: 'PDF, 1 pages' },
      text: expect.stringContaining('[PDF page 1]\nHello from a page'),
    });
    expect(await textOf(makePdf(''), 'application/octet-stream')).toMatchObject({ note: 'scan' });
    const locked = { V: 1, R: 2, P: -4, O: `<${'00'.repeat(32)}>`, U: `<${'11'.repeat(32)}>` };
    expect(await textOf(makePdf('secret', locked), 'application/pdf')).toMatchObject({ note: 'password', text: '' });
    await expect(textOf('%PDF-1.7 and nothing else', 'application/pdf')).rejects.toThrow(
      'could not be read (Invalid PDF structure',
    );
  });
});

describe('hostile pages', () => {
  /** For what is never through with its page: twice what this machine takes for a small one now, of which the first draft is a part. */
  let readMs: number;
  beforeAll(async () => {
    const began = performance.now();
    await textOf('<p>well');
    readMs = Math.round(1_000 + 2 * (performance.now() - began));
  });

  test.each([
    ['deep blocks', '<div>'.repeat(100_000), 'core'],
    ['deep inline tags', '<b>'.repeat(100_000), 'core'],
    ['lists in lists', '<ul><li>'.repeat(20_000), 'core'],
    ['tables in tables', '<table><tr><td>'.repeat(5_000), 'core'],
    ['a huge attribute', `<p class="${'x'.repeat(4_000_000)}">`, 'core'],
    ['many attributes', `<p ${'a b c '.repeat(100_000)}>`, 'core'],
    ['many rows', `<p>core</p><table>${'<tr><td>1</td></tr>'.repeat(100_000)}</table>`, ''],
    ['many comments', `core${'<!--'.repeat(1_000_000)}`, ''],
    ['many open tags', `core ${'<'.repeat(4_000_000)}`, ''],
    ['blanks before a feed', ' '.repeat(5_000_000), 'core'],
  ])('%s: the text comes all the same, in time, and the runner goes on meanwhile', async (_name, start, end) => {
    const patient = createWeb({ port: 1, reader, readMs });
    const startedAt = performance.now();
    let [longest, last] = [0, startedAt];
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    const { text } = await patient.read(
      Buffer.from(start + end),
      { url: 'http://a.example/', type: 'text/html' },
      never,
    );
    clearInterval(beat);
    expect(text).toContain('core');
    // One slow machine later: nothing of the conversion itself runs here.
    expect(longest).toBeLessThan(3_000);
  });

  test('a reader that is killed before it said anything is told as such, and the next one works', async () => {
    const hasty = createWeb({ port: 1, reader, readMs: 1 });
    const source = { url: 'http://a.example/', type: 'text/html' };
    await expect(hasty.read(Buffer.from('<p>x'), source, never)).rejects.toThrow('too much time or memory');
    expect((await textOf('<p>well')).text).toBe('well');
    const stopped = new AbortController();
    const reading = web.read(Buffer.from('<div>'.repeat(100_000)), source, stopped.signal);
    setTimeout(() => stopped.abort(), 200);
    await expect(reading).rejects.toThrow();
  });
});

test('a certificate of nobody known is told as such', async () => {
  const site = await startTlsSite('tls.example');
  door.inside.allow('tls.example', [site.port]);
  await expect(get(`https://tls.example:${site.port}/`)).rejects.toThrow('has no valid certificate');
  expect(site.seen).toEqual([]);
  site.close();
});
