// Markdown, as models write it, for people: Telegram's HTML and safe HTML for the page. Pure.
import { type MarkdownTarget, renderMarkdown } from './markdown-walk.js';

/** HTML with the tags of the Telegram Bot API only (https://core.telegram.org/bots/api#html-style). */
export function markdownToTelegramHtml(text: string): string {
  return renderMarkdown(text, telegram).trim();
}

/** What a person reads of Telegram HTML written here: tags and entities resolved. */
export function telegramPlainText(html: string): string {
  const chars: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&quot;': '"' };
  return stripTags(html).replace(/&(?:lt|gt|amp|quot);/g, (entity) => chars[entity] ?? entity);
}

/** Length of Telegram HTML as Telegram counts it: UTF-16 units after tags and entities are resolved. */
export const telegramLength = (html: string): number => telegramPlainText(html).length;

/** HTML from an allow-list of tags, everything else escaped: safe to put into our page. */
export function markdownToSafeHtml(text: string): string {
  return renderMarkdown(text, page);
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const language = (name: string) => name.replace(/[^\w+#.-]/g, '').slice(0, 40);

/** The address if it is one that may be clicked; undefined otherwise. */
function safeHref(href: string, schemes: RegExp): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const url = new URL(href);
  return schemes.test(url.protocol) ? url.href : undefined;
}

const telegram: MarkdownTarget = {
  text: escapeHtml,
  strong: (inner) => around('b', inner),
  emphasis: (inner) => around('i', inner),
  strike: (inner) => around('s', inner),
  code: (text) => `<code>${escapeHtml(text)}</code>`,
  link(href, inner) {
    const mail = /^mailto:([^?]+)/i.exec(href)?.[1];
    // Telegram links addresses that it finds in the text, and no others.
    if (mail !== undefined) return inner === escapeHtml(mail) ? inner : `${inner} (${escapeHtml(mail)})`;
    const safe = safeHref(href, /^(https?|tg):$/);
    if (!safe || inner === '') return inner || escapeHtml(href);
    return `<a href="${escapeHtml(safe)}">${withoutLinks(inner).replace(/<\/?code>/g, '')}</a>`;
  },
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => around('b', inner),
  codeBlock(text, name) {
    const label = language(name);
    return label
      ? `<pre><code class="language-${label}">${escapeHtml(text)}</code></pre>`
      : `<pre>${escapeHtml(text)}</pre>`;
  },
  // Telegram's quotes cannot be nested.
  quote: (inner, depth) => (depth === 0 ? `<blockquote>${inner}</blockquote>` : inner),
  // Only the lines of inner lists are set in: spaces before the lines of a code block would become part of the code.
  list: (items, _ordered, depth) =>
    items.map(({ marker, blocks }) => `${'   '.repeat(depth)}${marker} ${blocks.join('\n')}`).join('\n'),
  table: (header, rows) => `<pre>${alignTable([header, ...rows].map((row) => row.map(cellText)))}</pre>`,
  rule: () => '———',
  join: (blocks) => blocks.join('\n\n'),
};

const page: MarkdownTarget = {
  text: escapeHtml,
  strong: (inner) => `<strong>${inner}</strong>`,
  emphasis: (inner) => `<em>${inner}</em>`,
  strike: (inner) => `<del>${inner}</del>`,
  code: (text) => `<code>${escapeHtml(text)}</code>`,
  link(href, inner) {
    const safe = safeHref(href, /^(https?|mailto):$/);
    if (!safe) return inner || escapeHtml(href);
    return `<a href="${escapeHtml(safe)}" target="_blank" rel="noopener noreferrer nofollow">${withoutLinks(inner) || escapeHtml(href)}</a>`;
  },
  lineBreak: () => '<br>',
  paragraph: (inner) => `<p>${inner}</p>`,
  heading: (level, inner) => `<h${Math.min(level + 2, 6)}>${inner}</h${Math.min(level + 2, 6)}>`,
  codeBlock: (text) => `<pre><code>${escapeHtml(text)}</code></pre>`,
  quote: (inner) => `<blockquote>${inner}</blockquote>`,
  list(items, ordered) {
    const tag = ordered ? 'ol' : 'ul';
    const start = ordered ? ` start="${Number.parseInt(items[0]?.marker ?? '1', 10)}"` : '';
    return `<${tag}${start}>${items.map(({ blocks }) => `<li>${blocks.join('\n')}</li>`).join('')}</${tag}>`;
  },
  table(header, rows) {
    const row = (cells: string[], tag: string) =>
      `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
    return `<table><thead>${row(header, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('')}</tbody></table>`;
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

const cellText = (html: string) => stripTags(html).replace(/\s+/g, ' ').trim();

/** Rows of escaped cells as monospaced lines. Widths count characters, so an entity counts as the character it shows. */
function alignTable(rows: string[][]): string {
  const width = (cell: string) => [...cell.replace(/&\w+;/g, '_')].length;
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell))))
      .join(' | ')
      .trimEnd();
  const [header = [], ...body] = rows;
  return [line(header), widths.map((size) => '-'.repeat(size)).join('-+-'), ...body.map(line)].join('\n');
}
