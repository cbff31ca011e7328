// Markdown, as models write it, for people: Telegram's HTML and safe HTML for the page. Pure.
import { type MarkdownTarget, renderMarkdown } from './markdown-walk.js';

/** HTML with the tags of the Telegram Bot API only (https://core.telegram.org/bots/api#html-style). */
export function markdownToTelegramHtml(text: string): string {
  return renderMarkdown(text, telegram).trim();
}

/** Length of Telegram HTML as Telegram counts it: UTF-16 units after tags and entities are resolved. */
export function telegramLength(html: string): number {
  return html.replace(/<[^>]*>/g, '').replace(/&(?:lt|gt|amp|quot);/g, '_').length;
}

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
  strong: (inner) => `<b>${inner}</b>`,
  emphasis: (inner) => `<i>${inner}</i>`,
  strike: (inner) => `<s>${inner}</s>`,
  code: (text) => `<code>${escapeHtml(text)}</code>`,
  link(href, inner) {
    const safe = safeHref(href, /^(https?|tg|mailto):$/);
    if (!safe || inner === '') return inner || escapeHtml(href);
    return `<a href="${escapeHtml(safe)}">${inner}</a>`;
  },
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => `<b>${inner.replace(/<\/?b>/g, '')}</b>`,
  codeBlock(text, name) {
    const label = language(name);
    return label
      ? `<pre><code class="language-${label}">${escapeHtml(text)}</code></pre>`
      : `<pre>${escapeHtml(text)}</pre>`;
  },
  // Telegram's quotes cannot be nested.
  quote: (inner, depth) => (depth === 0 ? `<blockquote>${inner}</blockquote>` : inner),
  list: (items) => items.map(({ marker, inner }) => `${marker} ${inner.replaceAll('\n', '\n   ')}`).join('\n'),
  table: (header, rows) => `<pre>${alignTable([header, ...rows].map((row) => row.map(stripTags)))}</pre>`,
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
    return `<a href="${escapeHtml(safe)}" target="_blank" rel="noopener noreferrer nofollow">${inner || escapeHtml(href)}</a>`;
  },
  lineBreak: () => '<br>',
  paragraph: (inner) => `<p>${inner}</p>`,
  heading: (level, inner) => `<h${Math.min(level + 2, 6)}>${inner}</h${Math.min(level + 2, 6)}>`,
  codeBlock: (text) => `<pre><code>${escapeHtml(text)}</code></pre>`,
  quote: (inner) => `<blockquote>${inner}</blockquote>`,
  list(items, ordered) {
    const tag = ordered ? 'ol' : 'ul';
    const start = ordered ? ` start="${Number.parseInt(items[0]?.marker ?? '1', 10)}"` : '';
    return `<${tag}${start}>${items.map(({ inner }) => `<li>${inner}</li>`).join('')}</${tag}>`;
  },
  table(header, rows) {
    const row = (cells: string[], tag: string) =>
      `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
    return `<table><thead>${row(header, 'th')}</thead><tbody>${rows.map((cells) => row(cells, 'td')).join('')}</tbody></table>`;
  },
  rule: () => '<hr>',
  join: (blocks) => blocks.join('\n'),
};

const stripTags = (html: string) => html.replace(/<[^>]*>/g, '');

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
