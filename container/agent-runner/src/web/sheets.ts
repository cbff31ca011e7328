// The sheets of an XLSX file as rows: shared texts, dates and what formulas last came to. Formats of numbers are left out, but for dates.
import { type Archive, each } from './archive.js';
import { type Outline, tableRow } from './outline.js';

const MAX_ROWS = 10_000;
const MAX_COLUMNS = 256;
/** Day 0 is 1899-12-30. */
const DAYS_TO_1970 = 25_569;
const LAST_DAY = 2_958_465;
const DAY_MS = 86_400_000;
/** Numbers of the formats for dates that every program has. */
const BUILT_IN = /^(1[4-9]|2[0-2]|2[7-9]|3[0-6]|45|47)$/;

/** Adds each sheet; says how many there are, and whether rows or columns were left out. */
export async function readSheets({ part, targets }: Archive, outline: Outline) {
  const sheets: [name: string, id: string][] = [];
  each(await part('xl/workbook.xml'), ['sheet'], ({ attributes }) =>
    sheets.push([attributes.name ?? '', attributes['r:id'] ?? '']),
  );
  const files = await targets('xl/workbook.xml');
  const texts = sharedTexts(await part([...files.values()].find((name) => /sharedStrings\.xml$/i.test(name)) ?? ''));
  const isDate = dateStyles(await part('xl/styles.xml'));
  let isCut = false;
  for (const [name, id] of sheets) {
    outline.add(`\n## Sheet: ${name} (row number, then columns from A)`);
    const show = (kind: string, value: string, style: number) =>
      kind === 's' ? (texts[Number(value)] ?? '') : kind === 'n' && isDate[style] ? dateOf(value) : value;
    if (addRows(await part(files.get(id) ?? ''), outline, show)) isCut = true;
  }
  return { format: `spreadsheet, ${sheets.length} sheets`, isCut };
}

/** True when there were more than are added. */
function addRows(xml: string, { add, isFull }: Outline, show: (kind: string, value: string, style: number) => string) {
  let [rows, number, column, kind, style, isCut] = [0, 0, 0, '', 0, false];
  let cells: string[] = [];
  function endRow(): void {
    if (cells.some(Boolean)) add(tableRow([`${number}`, ...Array.from(cells, (cell = '') => cell)]));
    rows += 1;
    [cells, column] = [[], 0];
  }
  const isDone = () => rows > MAX_ROWS || isFull();
  each(
    xml,
    ['row', 'c', 'f', 'v', 't'],
    ({ name, attributes, text }) => {
      if (isDone()) return;
      if (name === 'row') {
        endRow();
        number = Number(attributes.r) || number + 1;
      } else if (name === 'c') {
        column = columnOf(attributes.r) || column + 1;
        [kind, style] = [attributes.t ?? 'n', Number(attributes.s)];
      } else if (column > MAX_COLUMNS) isCut = true;
      // A formula is shown while no program has worked it out.
      else if (name === 'f') cells[column - 1] = text && `=${text}`;
      else if (name === 'v') cells[column - 1] = show(kind, text, style) || (cells[column - 1] ?? '');
      else cells[column - 1] = (cells[column - 1] ?? '') + text;
    },
    isDone,
  );
  endRow();
  return isCut || isDone();
}

/** 28 for `AB12`, 0 without letters. */
const columnOf = (cell = '') =>
  [...(/^[A-Z]{1,3}/.exec(cell)?.[0] ?? '')].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0);

function dateOf(value: string): string {
  const day = Number(value);
  if (value === '' || !(day >= 0 && day <= LAST_DAY)) return value;
  const [date = '', time = ''] = new Date(Math.round((day - DAYS_TO_1970) * DAY_MS)).toISOString().split(/[T.]/);
  if (day < 1) return time;
  return time === '00:00:00' ? date : `${date} ${time}`;
}

function sharedTexts(xml: string): string[] {
  const texts: string[] = [];
  each(xml, ['si', 't'], ({ name, text }) => texts.push(name === 'si' ? '' : (texts.pop() ?? '') + text));
  return texts;
}

/** By the number of a cell's style: whether its numbers are dates. */
function dateStyles(xml: string): boolean[] {
  const dates = new Set<string>();
  let styles: boolean[] = [];
  each(xml, ['numFmt', 'cellXfs', 'xf', 'cellStyles'], ({ name, attributes: { numFmtId = '', formatCode = '' } }) => {
    // Styles before these are no cells'.
    if (name === 'cellXfs') styles = [];
    if (name === 'xf') styles.push(BUILT_IN.test(numFmtId) || dates.has(numFmtId));
    if (name === 'numFmt' && isDateFormat(formatCode)) dates.add(numFmtId);
  });
  return styles;
}

/** What is quoted, a colour, a language or a count of hours beyond a day tells nothing of a date. */
const isDateFormat = (code: string) =>
  !/\[[hms]+\]/i.test(code) && /[ymdhs]/i.test(code.replace(/"[^"]*"|\[[^\]]*\]|[\\_*]./g, ''));
