// What each kind of Markdown looks like on a target: Telegram's HTML subset and our page. A further target is one more table.
// Every `text` argument is raw, every `inner`, `block` and `cell` is already rendered. Pure.

export interface ListItem {
  /** Undefined in a bullet list. */
  number: number | undefined;
  /** Undefined when it is no task. */
  checked: boolean | undefined;
  blocks: string[];
}

type Alignment = 'center' | 'left' | 'right' | null;

export interface Target {
  text(text: string): string;
  mark(kind: 'strong' | 'em' | 'del', inner: string): string;
  code(text: string): string;
  /** Empty when the address must not be linked; an address that is its own text is then lost, so it comes back as text. */
  link(inner: string, href: string): string;
  lineBreak: string;
  heading(inner: string, depth: number): string;
  paragraph(inner: string): string;
  codeBlock(text: string, language: string): string;
  quote(blocks: string[], nested: boolean): string;
  list(items: ListItem[], depth: number): string;
  table(header: string[], rows: string[][], align: Alignment[]): string;
  rule: string;
  blocks(blocks: string[]): string;
}

export const telegramTarget: Target = {
  text: escapeHtml,
  mark: (kind, inner) => wrap({ strong: 'b', em: 'i', del: 's' }[kind], inner),
  code: (text) => `<code>${escapeHtml(text)}</code>`,
  link(inner, href) {
    const url = safeUrl(href, ['http:', 'https:', 'tg:', 'mailto:']);
    return url === undefined ? '' : `<a href="${escapeHtml(url)}">${inner}</a>`;
  },
  lineBreak: '\n',
  heading: (inner) => wrap('b', inner),
  paragraph: (inner) => inner,
  codeBlock(text, language) {
    const code = escapeHtml(text);
    return language === '' ? `<pre>${code}</pre>` : `<pre><code class="language-${language}">${code}</code></pre>`;
  },
  // Telegram allows no quote inside a quote.
  quote: (blocks, nested) => (nested ? blocks.join('\n') : `<blockquote>${blocks.join('\n')}</blockquote>`),
  list: (items, depth) =>
    items.map((item) => `${'   '.repeat(depth)}${marker(item)} ${item.blocks.join('\n')}`).join('\n'),
  table: telegramTable,
  rule: '———',
  blocks: (blocks) => blocks.join('\n\n'),
};

/** The widest table that a phone shows without breaking its lines; wider ones become lines of "column: value". */
const MAX_TABLE_COLUMNS = 44;

function telegramTable(header: string[], rows: string[][], align: Alignment[]): string {
  const all = [header, ...rows].map((row) => row.map((cell) => plainText(cell).replace(/\s+/g, ' ').trim()));
  const widths = header.map((_, column) => Math.max(1, ...all.map((row) => displayWidth(row[column] ?? ''))));
  if (widths.reduce((sum, width) => sum + width + 3, -3) > MAX_TABLE_COLUMNS) return tableAsLines(header, rows);
  const line = (row: string[]) =>
    widths.map((width, column) => pad(row[column] ?? '', width, align[column] ?? null)).join(' | ');
  const [head = [], ...body] = all;
  const rule = widths.map((width) => '-'.repeat(width)).join('-+-');
  return `<pre>${escapeHtml([line(head), rule, ...body.map(line)].map((text) => text.trimEnd()).join('\n'))}</pre>`;
}

function tableAsLines(header: string[], rows: string[][]): string {
  if (rows.length === 0) return header.map((cell) => wrap('b', cell)).join('\n');
  const label = (column: number) => (header[column] ? `${wrap('b', header[column])}: ` : '');
  return rows
    .map((row) =>
      row
        .map((cell, column) => `${label(column)}${cell}`)
        .filter((text) => text !== '')
        .join('\n'),
    )
    .join('\n\n');
}

function pad(text: string, width: number, align: Alignment): string {
  const gap = width - displayWidth(text);
  const left = align === 'right' ? gap : align === 'center' ? Math.floor(gap / 2) : 0;
  return ' '.repeat(left) + text + ' '.repeat(gap - left);
}

/** Columns in a fixed-width font: wide East Asian characters and emoji take two. */
function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Emoji_Presentation}|\ufe0f/u;
  let columns = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) columns += wide.test(segment) ? 2 : 1;
  return columns;
}

function marker(item: ListItem): string {
  const box = item.checked === undefined ? '' : item.checked ? '☑' : '☐';
  if (item.number === undefined) return box || '•';
  return box === '' ? `${item.number}.` : `${item.number}. ${box}`;
}

export const webTarget: Target = {
  text: escapeHtml,
  mark: (kind, inner) => `<${kind}>${inner}</${kind}>`,
  code: (text) => `<code>${escapeHtml(text)}</code>`,
  link(inner, href) {
    const url = safeUrl(href, ['http:', 'https:', 'mailto:']);
    if (url === undefined) return '';
    return `<a href="${escapeHtml(url)}" rel="noopener noreferrer nofollow" target="_blank">${inner}</a>`;
  },
  lineBreak: '<br>',
  heading: (inner, depth) => `<h${depth}>${inner}</h${depth}>`,
  // A chat shows the line ends its writer made.
  paragraph: (inner) => (inner === '' ? '' : `<p>${inner.replace(/\n/g, '<br>')}</p>`),
  codeBlock: (text) => `<pre><code>${escapeHtml(text)}</code></pre>`,
  quote: (blocks) => `<blockquote>${blocks.join('')}</blockquote>`,
  list(items) {
    const first = items[0]?.number;
    const rows = items.map(({ checked, blocks }) => {
      const box = checked === undefined ? '' : checked ? '☑ ' : '☐ ';
      return `<li>${box}${blocks.join('')}</li>`;
    });
    if (first === undefined) return `<ul>${rows.join('')}</ul>`;
    return `<ol${first === 1 ? '' : ` start="${first}"`}>${rows.join('')}</ol>`;
  },
  table(header, rows) {
    const row = (cells: string[], tag: string) =>
      `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
    const body = rows.map((cells) => row(cells, 'td')).join('');
    return `<table><thead>${row(header, 'th')}</thead><tbody>${body}</tbody></table>`;
  },
  rule: '<hr>',
  blocks: (blocks) => blocks.join('\n'),
};

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ESCAPES[char] ?? char);
}

/** The text a reader sees of HTML that this file wrote: tags away, the escapes read back. */
export function plainText(html: string): string {
  const text = html.replace(/<[^>]*>/g, '');
  const chars: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
  return text.replace(/&(?:amp|lt|gt|quot|#39);/g, (escape) => chars[escape] ?? escape);
}

/** One level of a tag: bold in bold is bold, and an empty span is nothing. */
function wrap(tag: string, inner: string): string {
  const flat = inner.replaceAll(`<${tag}>`, '').replaceAll(`</${tag}>`, '');
  return flat === '' ? '' : `<${tag}>${flat}</${tag}>`;
}

/** The normalised absolute address when its scheme is allowed; browsers' tricks (tabs in `java\tscript:`) end here. */
function safeUrl(href: string, protocols: string[]): string | undefined {
  if (!URL.canParse(href)) return undefined;
  const url = new URL(href);
  return protocols.includes(url.protocol) ? url.href : undefined;
}
