// Markdown as WhatsApp shows it (https://faq.whatsapp.com/539178204879377): *bold* _italic_ ~strike~ `code` ```block``` > quote.
import { type MarkdownTarget, renderMarkdown } from './markdown-walk.js';

export const markdownToWhatsApp = (text: string): string => renderMarkdown(text, whatsapp).trim();

/** Marks count within a line, right beside what they enclose; anywhere else they would be read as they stand. */
const around = (mark: string, inner: string) => inner.replace(/\S(.*\S)?/g, (line) => `${mark}${line}${mark}`);

const whatsapp: MarkdownTarget = {
  text: (text) => text,
  strong: (inner) => around('*', inner),
  emphasis: (inner) => around('_', inner),
  strike: (inner) => around('~', inner),
  code: (text) => around('`', text.replaceAll('`', "'")),
  link(href, inner) {
    const target = href.replace(/^mailto:/, '');
    return inner === '' || inner === target ? target : `${inner} (${target})`;
  },
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => around('*', inner.replaceAll('*', '')),
  codeBlock: (text) => `\`\`\`\n${text.replaceAll('```', "'''")}\n\`\`\``,
  quote: (inner) =>
    inner
      .split('\n')
      .map((line) => `> ${line}`)
      .join('\n'),
  list: (items, _ordered, depth) =>
    items.map(({ marker, blocks }) => `${'  '.repeat(depth)}${marker} ${blocks.join('\n')}`).join('\n'),
  table: (header, rows) => ['```', ...[header, ...rows].map((row) => row.join(' | ')), '```'].join('\n'),
  rule: () => '———',
  join: (blocks) => blocks.join('\n\n'),
};
