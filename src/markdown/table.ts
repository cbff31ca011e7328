// A table as lines of text of equal width, for chats that have no tables. Pure.
import stringWidth from 'string-width';

/** Widths are columns of a monospaced font: letters of East Asia and emoji take two. Cells have no line ends. */
export function alignTable(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => stringWidth(row[column] ?? ''))));
  const pad = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - stringWidth(cell));
  const lines = rows.map((row) => row.map(pad).join(' | ').trimEnd());
  return lines.toSpliced(1, 0, widths.map((size) => '-'.repeat(size)).join('-+-'));
}
