// What `pinch memory` shows and does; it asks the running daemon.
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';

const version = z.object({
  ...{ id: z.number(), at: z.number(), run: z.number().nullable(), size: z.number(), by: z.string() },
  ...{ deleted: z.boolean(), kept: z.boolean(), sources: z.array(z.string()), secret: z.string().nullable() },
});
const listed = z.object({ files: z.array(z.object({ path: z.string(), versions: z.array(version) })) });
const one = version.extend({ path: z.string(), content: z.string().nullable(), diff: z.string() });
const restored = z.object({ path: z.string(), state: z.string(), version: z.number().nullable() });

interface Command {
  usage: string;
  what: string;
  words: readonly string[];
  options: readonly ['all'];
  run(call: Call): Promise<number>;
}

interface Call {
  argument: string | undefined;
  rest: string[];
  values: { json?: string | boolean | undefined; all?: string | boolean | undefined };
  ask(call: string, body?: object): Promise<unknown>;
}

export const memoryTerminal: Command[] = [
  {
    usage: 'memory [what] [of]',
    words: ['list', 'show', 'diff', 'restore'],
    what: 'the memory files: list [group] (--all: more versions of each); show, diff or restore <version>',
    options: ['all'] as const,
    async run({ argument = 'list', rest: [more], values, ask }: Call): Promise<number> {
      const asked = { ask, json: values.json === true, isAll: values.all === true };
      process.stdout.write(`${visible(await runMemory(asked, argument, more))}\n`);
      return 0;
    },
  },
];

/** Throws PinchError. */
async function runMemory(
  { ask, json, isAll }: Pick<Call, 'ask'> & { json: boolean; isAll: boolean },
  what: string,
  argument: string | undefined,
) {
  if (what === 'list') {
    const answer = await ask(`GET /api/memory?${new URLSearchParams({ group: argument ?? 'main' })}`);
    return json ? JSON.stringify(answer, null, 2) : listText(listed.parse(answer), isAll);
  }
  if (!/^(show|diff|restore)$/.test(what)) throw new PinchError('usage', USAGE);
  if (!/^\d+$/.test(argument ?? ''))
    throw new PinchError('usage', `which one? \`memory ${what}\` takes the number of a version`, {
      hint: '`memory list`',
    });
  const answer = await ask(
    what === 'restore' ? `POST /api/memory/${argument}/restore` : `GET /api/memory/${argument}`,
    what === 'restore' ? {} : undefined,
  );
  if (json) return JSON.stringify(answer, null, 2);
  if (what === 'restore') {
    const { path, state, version: now } = restored.parse(answer);
    return state === 'done'
      ? `${path} is as in version ${argument} again: version ${now}`
      : `${path} waits for its container`;
  }
  const { content, diff, deleted } = one.parse(answer);
  if (what === 'diff') return diff || '(no difference)';
  return content ?? (deleted ? '(deleted)' : '(not kept: too large, or no text)');
}

const USAGE =
  'write `memory [list [<group>]]`, `memory show <version>`, `memory diff <version>` or `memory restore <version>`';

/** The newest versions of each; the API gives a few more. */
const SHOWN_VERSIONS = 3;

function listText({ files }: z.infer<typeof listed>, isAll: boolean): string {
  const shown = isAll ? undefined : SHOWN_VERSIONS;
  const isCut = !isAll && files.some(({ versions }) => versions.length > SHOWN_VERSIONS);
  const lines = files.flatMap(({ path, versions }) => [path, ...versions.slice(0, shown).map(line)]);
  return [...lines, ...(isCut ? ['', 'Older versions: `--all`'] : [])].join('\n') || 'no memory files yet';
}

function line({ id, at, run, size, by, deleted, kept, sources, secret }: z.infer<typeof version>): string {
  const what = deleted ? 'deleted' : `${size} bytes${kept ? '' : ', not kept'}`;
  const notes = [...sources.map((source) => `after it read ${source}`), ...(secret ? [`secret: ${secret}`] : [])];
  return `  ${id}  ${new Date(at).toISOString()}  ${run === null ? by : `run ${run}`}  ${[what, ...notes].join('; ')}`;
}
