// Markdown as Slack shows it (https://docs.slack.dev/messaging/formatting-message-text): *bold* _italic_ ~strike~ `code` ```block``` > quote.
// Everything is escaped, so that no text can mention a person or a whole channel.
import { type MarkdownTarget, renderMarkdown } from '../markdown/walk.js';

export const markdownToSlack = (text: string): string => renderMarkdown(text, slack).trim();

const escapeText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Marks count within a line, right beside what they enclose; anywhere else they would be read as they stand. */
const around = (mark: string, inner: string) => inner.replace(/\S(.*\S)?/g, (line) => `${mark}${line}${mark}`);

const slack: MarkdownTarget = {
  text: escapeText,
  strong: (inner) => around('*', inner),
  emphasis: (inner) => around('_', inner),
  strike: (inner) => around('~', inner),
  code: (text) => around('`', escapeText(text.replaceAll('`', "'"))),
  link(href, inner) {
    if (!/^(https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href)) return inner || escapeText(href);
    const address = escapeText(new URL(href).href).replaceAll('|', '%7C');
    // A picture inside a link is a link inside a link.
    const shown = inner.replace(/<(?:[^|>]*\|)?([^>]*)>/g, '$1').replaceAll('|', '/');
    return shown === '' || shown === escapeText(href) ? `<${address}>` : `<${address}|${shown}>`;
  },
  lineBreak: () => '\n',
  paragraph: (inner) => inner,
  heading: (_level, inner) => around('*', inner.replaceAll('*', '')),
  codeBlock: (text) => `\`\`\`\n${escapeText(text.replaceAll('```', "'''"))}\n\`\`\``,
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
