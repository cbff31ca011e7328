// Markdown as Discord takes it: it reads most of it itself (https://support.discord.com/hc/en-us/articles/210298617); tables become
// monospaced lines and small headings bold ones.
import type { MarkedToken, Tokens } from 'marked';
import { parseSegments } from '../markdown/walk.js';

/** Never empty for a text that is not. */
export function markdownToDiscord(text: string): string {
  // Half a character is no text: servers refuse it.
  const whole = text.replace(/\p{Surrogate}/gu, '\uFFFD');
  const blocks = [...parseSegments(whole)].flatMap((segment) => segment.blocks);
  return blocks.map(shown).join('').trim() || whole;
}

function shown(block: MarkedToken): string {
  const end = block.raw.slice(block.raw.trimEnd().length);
  if (block.type === 'heading' && block.depth > 3) return `**${block.text.replaceAll('**', '')}**${end}`;
  return block.type === 'table' ? table(block) + end : block.raw;
}

function table({ header, rows }: Tokens.Table): string {
  const lines = [header, ...rows].map((row) => row.map(({ text }) => text.replace(/\s+/g, ' ').trim()));
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => [...(cells[column] ?? '')].length)));
  const aligned = lines.map((cells) =>
    cells
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length))
      .join(' | ')
      .trimEnd(),
  );
  const rule = widths.map((size) => '-'.repeat(size)).join('-+-');
  return `\`\`\`\n${aligned.toSpliced(1, 0, rule).join('\n').replaceAll('```', "'''")}\n\`\`\``;
}
