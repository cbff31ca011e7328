// Markdown, as models write it, for people: Telegram's HTML and safe HTML for the page. Pure.
import { isBlank } from '../core/visible.js';
import { inBrackets, plain } from './plain.js';
import { alignTable } from './table.js';
import { type MarkdownTarget, renderInSlices, renderMarkdown } from './walk.js';

/** HTML with the tags of the Telegram Bot API only (https://core.telegram.org/bots/api#html-style). */
export function markdownToTelegramHtml(text: string): string {
  const html = renderMarkdown(text, telegram).trim();
  // An empty quote, fence or table: Telegram refuses a message without a character that is seen.
  return isBlank(telegramPlainText(html)) ? escapeHtml(text.trim()) : html;
}

/** What a reader sees of Markdown, without the spaces. */
export async function shownText(markdown: string): Promise<string> {
  return telegramPlainText(await renderInSlices(markdown, telegram)).replace(/\s+/g, '');
}

/** What a person reads of Telegram HTML written here: tags and entities resolved. */
export function telegramPlainText(html: string): string {
  const chars: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&quot;': '"' };
  return stripTags(html).replace(/&(?:lt|gt|amp|quot);/g, (entity) => chars[entity] ?? entity);
}

/** Length of Telegram HTML as Telegram counts it: UTF-16 units after tags and entities are resolved. */
export const telegramLength = (html: string): number => telegramPlainText(html).length;

/** HTML from an allow-list of tags, everything else escaped: safe to put into our page. */
export const markdownToSafeHtml = (text: string): string => orAsWritten(renderMarkdown(text, page), text);

/** The same for a text of any length, with pauses in which others run. */
export const safeHtmlInSlices = async (text: string): Promise<string> =>
  orAsWritten(await renderInSlices(text, page), text);

/** The text as it stands where nothing of it would be seen. */
const orAsWritten = (html: string, text: string): string =>
  isBlank(stripTags(html)) && !/<hr>/.test(html) ? element('p')(escapeHtml(text.trim())) : html;

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** The address, escaped, if it is one that may be clicked; undefined otherwise. */
function safeHref(href: string, schemes: RegExp): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const url = new URL(href);
  return schemes.test(url.protocol) ? escapeHtml(url.href) : undefined;
}

/** A link that cannot be clicked keeps its target. All of it escaped but the title. */
const withTarget = (inner: string, target: string, title: string): string =>
  (inner === '' || inner === target ? target : `${inner} (${target})`) + escapeHtml(inBrackets(title));

const element = (tag: string) => (inner: string) => `<${tag}>${inner}</${tag}>`;
const code = (text: string) => element('code')(escapeHtml(text));

const telegram: MarkdownTarget = {
  text: escapeHtml,
  strong: (inner) => around('b', inner),
  emphasis: (inner) => around('i', inner),
  strike: (inner) => around('s', inner),
  code,
  link(href, inner, title) {
    const target = escapeHtml(href.replace(/^mailto:/i, ''));
    const safe = safeHref(href, /^(https?|tg):$/);
    // Telegram links addresses that it finds in the text, and no others.
    if (!safe || inner === '') return withTarget(inner.replace(/^mailto:/i, ''), target, title);
    return `<a href="${safe}">${withoutLinks(inner).replace(/<\/?code>/g, '')}</a>${escapeHtml(inBrackets(title))}`;
  },
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => around('b', inner),
  codeBlock(text, name) {
    const label = name.replace(/[^\w+#.-]/g, '').slice(0, 40);
    return `<pre>${label ? `<code class="language-${label}">${escapeHtml(text)}</code>` : escapeHtml(text)}</pre>`;
  },
  // Telegram's quotes cannot be nested.
  quote: (inner, depth) => (depth === 0 ? `<blockquote>${inner}</blockquote>` : inner),
  // Only the lines of inner lists are set in: spaces before the lines of a code block would become part of the code.
  list: (items, _ordered, depth) =>
    items.map(({ marker, blocks }) => `${'   '.repeat(depth)}${marker} ${blocks.join('\n')}`).join('\n'),
  table: (header, rows) =>
    `<pre>${escapeHtml(alignTable([header, ...rows].map((row) => row.map(oneLine))).join('\n'))}</pre>`,
  cells: plain,
  rule: () => '———',
  join: (blocks) => blocks.join('\n\n'),
};

const page: MarkdownTarget = {
  text: escapeHtml,
  strong: element('strong'),
  emphasis: element('em'),
  strike: element('del'),
  code,
  link(href, inner, title) {
    const safe = safeHref(href, /^(https?|mailto):$/);
    if (!safe) return withTarget(inner, escapeHtml(href), title);
    const tip = title && ` title="${escapeHtml(title)}"`;
    return `<a href="${safe}"${tip} target="_blank" rel="noopener noreferrer nofollow">${withoutLinks(inner) || escapeHtml(href)}</a>`;
  },
  lineBreak: () => '<br>',
  paragraph: element('p'),
  heading: (level, inner) => element(`h${Math.min(level + 2, 6)}`)(inner),
  codeBlock: (text) => `<pre>${code(text)}</pre>`,
  quote: element('blockquote'),
  list(items, ordered) {
    const content = items.map(({ blocks }) => element('li')(blocks.join('\n'))).join('');
    return ordered
      ? `<ol start="${Number.parseInt(items[0]?.marker ?? '1', 10)}">${content}</ol>`
      : `<ul>${content}</ul>`;
  },
  table(header, rows) {
    const row = (cells: string[], tag: string) => element('tr')(cells.map(element(tag)).join(''));
    const body = rows.map((cells) => row(cells, 'td')).join('');
    return `<table><thead>${row(header, 'th')}</thead><tbody>${body}</tbody></table>`;
  },
  rule: () => '<hr>',
  join: (blocks) => blocks.join('\n'),
};

/** Telegram's styles can neither hold code nor repeat themselves: the tag stands around what is between. */
function around(tag: string, inner: string): string {
  const flat = inner.replaceAll(`<${tag}>`, '').replaceAll(`</${tag}>`, '');
  const pieces = flat.split(/(<code>[^<]*<\/code>)/);
  return pieces.map((piece, index) => (index % 2 === 1 || piece === '' ? piece : `<${tag}>${piece}</${tag}>`)).join('');
}

/** An image inside a link is a link inside a link. */
const withoutLinks = (html: string) => html.replace(/<\/?a\b[^>]*>/g, '');

const stripTags = (html: string) => html.replace(/<[^>]*>/g, '');

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();
