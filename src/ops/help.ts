// What `pinch`, `pinch help` and `pinch help <command>` print: what is used every day, all commands, or one. Pure.
import { type Completed, nameOf } from './completion.js';

interface Helped extends Completed {
  isEveryday?: true;
}

const PATH_HINT =
  'Where `pinch` is not on the PATH: npm run -s pinch -- <command>; `link` puts it there. With --json: for scripts.';
const MIN_TEXT_COLUMNS = 30;

/** `asked`: undefined for the short list, `` for all; undefined when there is no such command. */
export function helpText(commands: readonly Helped[], asked: string | undefined, columns: number): string | undefined {
  const shown = commands.filter((one) =>
    asked === undefined ? one.isEveryday : asked === '' || nameOf(one) === asked.toLowerCase(),
  );
  if (shown.length === 0) return undefined;
  const lines = list(shown, columns);
  if (asked) return lines;
  const more = asked === undefined ? `\n\n\`pinch help\` has all ${commands.length} commands.` : '';
  return `Usage: pinch <command>\n\n${lines}${more}\n\n${PATH_HINT}`;
}

/** Two columns; what is too long for the second goes on below itself. */
function list(commands: readonly Helped[], columns: number): string {
  const left = Math.max(...commands.map(({ usage }) => usage.length)) + 4;
  const width = Math.max(MIN_TEXT_COLUMNS, columns - left);
  return commands
    .map(({ usage, what }) => `  ${usage}`.padEnd(left) + wrapped(what, width).join(`\n${' '.repeat(left)}`))
    .join('\n');
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
