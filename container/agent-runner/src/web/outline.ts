// The text of Office documents, slides and books: a line for each paragraph, headings, lists, rows of tables, links and notes as in Markdown.
// Their formats name these things alike, so one list of names does for all. Time and memory grow with the length alone.
import type { Attributes, Handlers } from './archive.js';

/** More than a person would look at; one cell may claim to stand for a million. */
const MAX_COLUMNS = 256;
const BLOCK =
  /^(p|h[1-6]?|li|list-item|div|section|blockquote|pre|dt|dd|caption|tbl|table|footnote|endnote|comment|hdr|ftr)$/;
const ROW = /^(tr|table-row)$/;
const CELL = /^(tc|td|th|table-cell|covered-table-cell)$/;
const NOTE = /^(footnote|endnote|comment)(Reference)?$/;

/** `isOffice`: only what is in elements `t` is text, blanks and all. `link`: an element's address; `headings`: marks of headings by styles' names. */
interface Format {
  isOffice?: boolean;
  link?(attributes: Attributes): string | undefined;
  headings?: Map<string, string>;
}

/** One row; line breaks and `|` in cells stay within them. Empty when all cells are. */
export function tableRow(cells: string[]): string {
  const shown = cells.map((cell) => cell.replace(/\s+/g, ' ').trim().replaceAll('|', '\\|'));
  const length = shown.findLastIndex(Boolean) + 1;
  return length > 0 ? `| ${shown.slice(0, length).join(' | ')} |` : '';
}

export type Outline = ReturnType<typeof createOutline>;

/** Gathers lines until there are `maxChars`. */
export function createOutline(maxChars: number) {
  const lines: string[] = [];
  let chars = 0;
  const isFull = () => chars >= maxChars;
  function add(line: string): void {
    if (line === '' || isFull()) return;
    lines.push(line);
    chars += line.length + 1;
  }
  const text = () => lines.join('\n').trim().slice(0, maxChars);
  return { add, isFull, text, handlers: (format: Format) => handlersFor(add, format) };
}

/** What stands before the line, by the element it is in or that says how it looks. */
function prefixOf(name: string, attributes: Attributes, headings: Format['headings'], before: string) {
  const level = /^h([1-6]?)$/.exec(name)?.[1];
  if (level !== undefined) return `${'#'.repeat(Math.min(Number(level || attributes['text:outline-level']) || 1, 6))} `;
  if (name === 'ph' && /title/i.test(attributes.type ?? '')) return '### ';
  const { 'w:val': style = '' } = attributes;
  if (name === 'pStyle') return headings?.get(style) ?? (/^List(Bullet|Number)/.test(style) ? '- ' : undefined);
  if (name === 'hdr' || name === 'ftr') return '[at each page] ';
  return /^(li|list-item|numPr)$/.test(name) ? before || '- ' : undefined;
}

function handlersFor(add: (line: string) => void, { isOffice = false, link, headings }: Format): Handlers {
  let [line, prefix, address, isText, isCode] = ['', '', '', !isOffice, false];
  let [row, depth, same]: [string[], number, number] = [[], 0, 1];
  /** The end of a paragraph; within a table, of one in a cell. */
  function endLine(): void {
    if (depth > 0) line += ' ';
    else if (line.trim() !== '') {
      add((prefix.startsWith('#') ? '\n' : '') + prefix + line.trim());
      [line, prefix] = ['', ''];
    }
  }
  return {
    open(name, attributes) {
      if (BLOCK.test(name) || ROW.test(name)) endLine();
      if (ROW.test(name)) depth += 1;
      if (CELL.test(name) && depth === 1) {
        line = '';
        same = Math.min(Number(attributes['table:number-columns-repeated']) || 1, MAX_COLUMNS);
      }
      prefix = prefixOf(name, attributes, headings, prefix) ?? prefix;
      const [note, about, isReference] = NOTE.exec(name) ?? [];
      const mark = `[${about} ${attributes['w:id']}] `;
      if (isReference) line += mark;
      else if (note) prefix = mark;
      if (name === 't') isText = true;
      if (name === 'pre') isCode = true;
      if (/^(a|hyperlink)$/.test(name)) address = /^(https?|mailto):.*/i.exec(link?.(attributes) ?? '')?.[0] ?? '';
      if (/^(br|cr|line-break)$/.test(name)) line += '\n';
      if (name === 'tab') line += '\t';
    },
    text(words) {
      if (isText) line += isOffice || isCode ? words : words.replace(/\s+/g, ' ');
    },
    close(name) {
      if (name === 't') isText = false;
      if (name === 'pre') isCode = false;
      if (/^(a|hyperlink)$/.test(name) && address) {
        line += ` (${address})`;
        address = '';
      }
      if (CELL.test(name) && depth === 1 && row.length < MAX_COLUMNS) row.push(...Array(same).fill(line));
      if (ROW.test(name) && --depth === 0) {
        add(tableRow(row));
        [row, line] = [[], ''];
      }
      if (BLOCK.test(name)) {
        endLine();
        if (depth === 0) prefix = '';
      }
    },
  };
}
