// What a site sent, as text for the model: HTML as Markdown, PDF, Office files, books, feeds, JSON, plain text. Its libraries are slow to load and to work, and read
// what anybody wrote: only the reader's own process imports this, and loads those it needs.
import { decodeHTML } from 'entities';
import type { AnyFeed } from 'feedsmith';
import { decodeText, isText } from './charset.js';
import type { Document, Source } from './document.js';

const MAX_LINK_CHARS = 2_000;
/** A page with less text and with scripts is taken for one that scripts fill. */
const LITTLE_CHARS = 200;
const SUMMARY_CHARS = 300;
/** More than is ever shown of one answer. */
const MAX_CHARS = 1_000_000;
/** After so many it says what it has, in case the rest takes too long. */
const DRAFT_PAGES = 50;
/** What may stand before the first tag that says what a text is. */
const PROLOGUE = /^(<\?xml[^>]*>|<!--[\s\S]*?-->|<!doctype(?! html)[^>]*>|\s)+/i;
const INLINE = /^(a|abbr|b|i|em|strong|span|code|small|sub|sup|u)$/;
/** What is left open goes on to the end, so that nothing is looked through twice. */
const TAG =
  /<!--[\s\S]*?(?:-->|$)|<(?:script|style|template|noscript|head)\b[\s\S]*?(?:<\/(?:script|style|template|noscript|head)\b[^>]*>|$)|<\/?([a-z][^\s/>]*)[^>]*(?:>|$)|<[!?][^>]*(?:>|$)/gi;

/**
 * `onDraft` is called first with what is sure to be found soon: a page can be made so that the rest takes for ever or all memory. Throws when the
 * bytes are damaged beyond what a reader can make of them.
 */
export async function convert(bytes: Buffer, source: Source, onDraft: (draft: Document) => void): Promise<Document> {
  const { type } = source;
  const isPdf = /^application\/pdf\b/i.test(type) || bytes.toString('latin1', 0, 1_024).includes('%PDF-');
  if (isPdf) return readPdf(bytes, onDraft);
  const { readOffice } = await import('./office.js');
  const document = await readOffice(bytes, MAX_CHARS);
  if (document) return document;
  if (!isText(bytes, type)) return { about: {}, text: '', note: 'binary' };
  const text = decodeText(bytes, type);
  const start = text.slice(0, 4_000).replace(PROLOGUE, '');
  if (/^<(rss|feed|rdf:RDF)\b|^\{[\s\S]*"https?:\/\/jsonfeed\.org/i.test(start)) {
    onDraft({ about: {}, text });
    return readFeed(text, source);
  }
  const isPage = /^<(!doctype html|html|head|body)\b/i.test(start) && !/^text\/(plain|markdown)/i.test(type);
  if (isPage || /\bhtml\b/i.test(type)) return readHtml(text, source, onDraft);
  return { about: {}, text: /\bjson\b/i.test(type) ? prettyJson(text) : text };
}

async function readHtml(html: string, { url }: Source, onDraft: (draft: Document) => void): Promise<Document> {
  const plain = plainText(html);
  onDraft({ about: {}, text: plain, note: 'rough' });
  const [{ Defuddle }, { parseHTML }] = await Promise.all([import('defuddle/node'), import('linkedom')]);
  // Without these the parser takes the first element for the whole page.
  const { document } = parseHTML(/<html\b/i.test(html) ? html : `<html><body>${html}</body></html>`);
  // What the library expects of a browser.
  document.styleSheets ??= [];
  if (document.defaultView) document.defaultView.getComputedStyle ??= () => ({ display: '' });
  document.URL = url;
  for (const name of ['href', 'src'])
    for (const element of document.querySelectorAll(`[${name}]`))
      if (!isLink(element.getAttribute(name) ?? '', url)) element.removeAttribute(name);
  const { title, author, site, published, content } = await Defuddle(document, url, {
    markdown: true,
    useAsync: false,
  });
  const text = content.trim() || plain;
  const note = text.length < LITTLE_CHARS && /<script\b/i.test(html) ? 'scripts' : undefined;
  return { about: { title, author, site, published }, text, note };
}

/** False for scripts, for pictures and pages that are written out in the address, and for what nobody would follow. */
function isLink(href: string, url: string): boolean {
  return (
    href.length <= MAX_LINK_CHARS && URL.canParse(href, url) && /^(https?|mailto):$/.test(new URL(href, url).protocol)
  );
}

/** The text between the tags, a line for each block. Its time grows with the length alone, however the tags are nested. */
function plainText(html: string): string {
  const text = html.replace(TAG, (_tag, name = '') => (INLINE.test(name) ? '' : '\n'));
  const lines = text.split('\n').map((line) => decodeHTML(line).replace(/\s+/g, ' ').trim());
  return lines.filter(Boolean).join('\n').slice(0, MAX_CHARS);
}

async function readFeed(text: string, { url }: Source): Promise<Document> {
  const { parseFeed } = await import('feedsmith');
  const parsed = parseFeed(text);
  const { format, feed } = parsed;
  const title = format === 'atom' ? feed.title?.value : feed.title;
  const entries = entriesOf(parsed).map(({ title, link, date, text }) => {
    const target = link && URL.canParse(link, url) ? new URL(link, url).href : link;
    const summary = plainText(text ?? '').replaceAll('\n', ' ');
    const shown = summary.length > SUMMARY_CHARS ? `${summary.slice(0, SUMMARY_CHARS)}…` : summary;
    return [`- ${plainText(title ?? '') || '(no title)'}`, date, target, shown].filter(Boolean).join('\n  ');
  });
  return { about: { title, format: `${format} feed` }, text: entries.join('\n') || '(no entries)' };
}

type Entry = Partial<Record<'title' | 'link' | 'date' | 'text', string | undefined>>;

function entriesOf({ format, feed }: AnyFeed<string>): Entry[] {
  if (format === 'atom')
    return (feed.entries ?? []).map(({ title, links, published, updated, summary, content }) => ({
      title: title?.value,
      link: (links?.find(({ rel = 'alternate' }) => rel === 'alternate') ?? links?.[0])?.href,
      date: published ?? updated,
      text: summary?.value ?? content?.value,
    }));
  if (format === 'json')
    return (feed.items ?? []).map(({ title, url, date_published: date, summary, content_text, content_html }) => ({
      ...{ title, link: url, date },
      text: summary ?? content_text ?? content_html,
    }));
  if (format === 'rdf')
    return (feed.items ?? []).map(({ title, link, dc, description: text }) => ({
      title,
      link,
      date: dc?.dates?.[0],
      text,
    }));
  return (feed.items ?? []).map(({ title, link, guid, pubDate, dc, description, content }) => ({
    title,
    link: link ?? guid?.value,
    date: pubDate ?? dc?.dates?.[0],
    text: description ?? content?.encoded,
  }));
}

async function readPdf(bytes: Buffer, onDraft: (draft: Document) => void): Promise<Document> {
  const { getDocumentProxy, getMeta } = await import('unpdf');
  try {
    const pdf = await getDocumentProxy(new Uint8Array(bytes));
    const { info } = await getMeta(pdf);
    const { Title: title, Author: author, CreationDate: published } = info;
    const about = { title, author, published, format: `PDF, ${pdf.numPages} pages` };
    let [text, isEmpty] = ['', true];
    for (let number = 1; number <= pdf.numPages && text.length < MAX_CHARS; number++) {
      const page = await pdf.getPage(number);
      const { items } = await page.getTextContent();
      const words = items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('');
      page.cleanup();
      text += `[PDF page ${number}]\n${words}\n\n`;
      isEmpty &&= words.trim() === '';
      if (number % DRAFT_PAGES === 0) onDraft({ about, text, note: 'cut' });
    }
    return { about, text: text.trimEnd(), note: isEmpty ? 'scan' : text.length < MAX_CHARS ? undefined : 'cut' };
  } catch (error) {
    if (/^PasswordException/.test(String(error))) return { about: {}, text: '', note: 'password' };
    throw error;
  }
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
