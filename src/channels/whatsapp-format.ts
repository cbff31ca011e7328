// Markdown as WhatsApp shows it (https://faq.whatsapp.com/539178204879377): *bold* _italic_ ~strike~ `code` ```block``` > quote.
import { isBlank } from '../core/visible.js';
import { plain } from '../markdown/plain.js';
import { alignTable } from '../markdown/table.js';
import { type MarkdownTarget, renderMarkdown } from '../markdown/walk.js';

/** `words` changes what is no code, address or mark. */
export function markdownToWhatsApp(text: string, words = whatsapp.text): string {
  const target = { ...whatsapp, text: words };
  // A heading is bold as a whole.
  const shown = renderMarkdown(text, { ...target, headings: { ...target, strong: (inner) => inner } }).trim();
  // Of an empty quote or fence only its marks are left, which WhatsApp hides.
  return isBlank(shown.replace(/^> ?|```/gm, '')) ? text.trim() : shown;
}

/** Marks count within a line, right beside what they enclose; anywhere else they would be read as they stand. */
const around = (mark: string, inner: string) => inner.replace(/\S(.*\S)?/g, (line) => `${mark}${line}${mark}`);

const whatsapp: MarkdownTarget = {
  text: (text) => text,
  strong: (inner) => around('*', inner),
  emphasis: (inner) => around('_', inner),
  strike: (inner) => around('~', inner),
  // Its marks for a block also hold code that has such a mark in it.
  code: (text) =>
    text.includes('`') && !text.includes('```')
      ? `\`\`\`${text.replace(/^(?=`)|(?<=`)$/g, ' ')}\`\`\``
      : around('`', text.replaceAll('`', "'")),
  link: plain.link,
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => around('*', inner),
  codeBlock: (text) => `\`\`\`\n${text.replaceAll('```', "'''")}\n\`\`\``,
  quote: (inner) =>
    inner
      .split('\n')
      .map((line) => `> ${line}`)
      .join('\n'),
  list: (items, _ordered, depth) =>
    items.map(({ marker, blocks }) => `${'  '.repeat(depth)}${marker} ${blocks.join('\n')}`).join('\n'),
  table(header, rows) {
    const cells = [header, ...rows].map((row) => row.map((cell) => cell.replace(/\s+/g, ' ').replaceAll('```', "'''")));
    return ['```', ...alignTable(cells), '```'].join('\n');
  },
  cells: plain,
  rule: () => '———',
  join: (blocks) => blocks.join('\n\n'),
};
