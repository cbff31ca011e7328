// Markdown as bare text, for places that show no formatting, such as the cells of a table in a code block. Pure.
import type { MarkdownTarget } from './walk.js';

const same = (text: string): string => text;

export const plain: MarkdownTarget = {
  ...{
    text: same,
    strong: same,
    emphasis: same,
    strike: same,
    code: same,
    paragraph: same,
    quote: same,
    codeBlock: same,
  },
  heading: (_level, inner) => inner,
  link: (href, inner, title) => {
    const target = href.replace(/^mailto:/i, '');
    return (isSame(inner, target) ? inner || target : `${inner} (${target})`) + inBrackets(title);
  },
  lineBreak: () => ' ',
  list: (items) => items.map(({ marker, blocks }) => `${marker} ${blocks.join(' ')}`).join(' '),
  table: (header, rows) => [header, ...rows].map((row) => row.join(' | ')).join('\n'),
  rule: () => '———',
  join: (blocks) => blocks.join(' '),
};

/** Whether a link's text says its target already: a bare `www.example.com` leads to `http://www.example.com`. */
function isSame(inner: string, target: string): boolean {
  const bare = (text: string) => text.replace(/^https?:\/\//i, '').replace(/\/$/, '');
  return (
    inner === '' ||
    inner.replace(/^mailto:/i, '') === target ||
    (/^(https?:\/\/|www\.)/i.test(inner) && bare(inner) === bare(target))
  );
}

/** The title of a link, which is seen nowhere else. */
export const inBrackets = (title: string): string => title && ` (${title})`;
