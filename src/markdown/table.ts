// Tables: as lines of text of equal width, for chats that have none; and rows as people mean them. Pure.
import stringWidth from 'string-width';

/** Widths are columns of a monospaced font: letters of East Asia and emoji take two. Cells have no line ends. */
export function alignTable(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => stringWidth(row[column] ?? ''))));
  const pad = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - stringWidth(cell));
  const lines = rows.map((row) => row.map(pad).join(' | ').trimEnd());
  return lines.toSpliced(1, 0, widths.map((size) => '-'.repeat(size)).join('-+-'));
}

const CODE = /(?<!`)(`+)(?!`)[^`]+\1(?!`)/g;
const cellsOf = (line: string): string[] =>
  line
    .trim()
    .replace(/^\||(?<!\\)\|$/g, '')
    .split(/(?<!\\)\|/);

/** It begins as the line did: another mark there ends the table. */
const asRow = (line: string, cells: string[]): string => `${/^\s*\|?/.exec(line)?.[0]}${cells.join('|')}|`;

/**
 * The lines of a text that begins with a table, each with as many cells as the line below the heading: a stroke within code parts nothing
 * then, nor do those of a row that has more. Undefined where no table begins.
 */
export function fitRows(text: string): string[] | undefined {
  const start = text.indexOf('\n') + 1;
  const marks = start > 0 ? (/[^\n]*/.exec(text.slice(start))?.[0] ?? '') : '';
  if (!/^[\s|:-]*-[\s|:-]*$/.test(marks)) return undefined;
  const size = cellsOf(marks).length;
  return text.split('\n').map((line, index) => {
    if (cellsOf(line).length <= size) return line;
    const cells = cellsOf(line.replace(CODE, (code) => code.replace(/(?<!\\)\|/g, '\\|')));
    // A heading of another size makes no table.
    if (index === 0) return cells.length === size ? asRow(line, cells) : line;
    return asRow(line, [...cells.slice(0, size - 1), cells.slice(size - 1).join('\\|')]);
  });
}
