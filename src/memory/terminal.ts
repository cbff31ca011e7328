// What `pinch memory` shows and does; it asks the running daemon.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { shortTime } from '../core/times.js';
import { visible } from '../core/visible.js';

const version = z.object({
  ...{ id: z.number(), at: z.number(), run: z.number().nullable(), size: z.number(), by: z.string() },
  ...{ deleted: z.boolean(), kept: z.boolean(), sources: z.array(z.string()), secret: z.string().nullable() },
});
const listed = z.object({ files: z.array(z.object({ path: z.string(), versions: z.array(version) })) });
const one = version.extend({ path: z.string(), content: z.string().nullable(), diff: z.string() });
const restored = z.object({ path: z.string(), state: z.string(), version: z.number().nullable() });

const undoable = z.object({
  group: z.string(),
  run: z.number().nullable(),
  files: z.array(
    z.object({ path: z.string(), at: z.number(), isNew: z.boolean(), isDeleted: z.boolean(), diff: z.string() }),
  ),
});

interface Command {
  usage: string;
  what: string;
  isEveryday?: true;
  words?: readonly string[];
  options?: readonly ('group' | 'all')[];
  run(call: Call): Promise<number>;
}

interface Call {
  argument: string | undefined;
  rest: string[];
  config: Pick<Config, 'timeZone'>;
  values: Partial<Record<'json' | 'group' | 'all', string | boolean | undefined>>;
  ask(call: string, body?: object): Promise<unknown>;
}

export const memoryTerminal: Command[] = [
  {
    usage: 'undo [run]',
    what: 'what the last run wrote to memory (--group <name>); with its number: take that back',
    isEveryday: true,
    options: ['group'],
    async run(call: Call): Promise<number> {
      process.stdout.write(`${visible(await undo(call))}\n`);
      return 0;
    },
  },
  {
    usage: 'memory [what] [of]',
    words: ['list', 'show', 'diff', 'restore'],
    what: 'the memory files: list [group] (--all: more versions of each); show, diff or restore <version>',
    options: ['all'],
    async run({ argument = 'list', rest: [more], values, ask, config }: Call): Promise<number> {
      const call = { ask, json: values.json === true, isAll: values.all === true, ...config };
      process.stdout.write(`${visible(await runMemory(call, argument, more))}\n`);
      return 0;
    },
  },
];

/** Shows, and takes back only what has been shown: that run. Throws PinchError. */
async function undo({ argument, values, config, ask }: Call): Promise<string> {
  const group = typeof values.group === 'string' ? values.group : 'main';
  if (argument !== undefined && !/^\d{1,15}$/.test(argument))
    throw new PinchError('usage', `undo: ${JSON.stringify(argument)} is no number`, {
      hint: 'pinch undo shows the run',
    });
  const answer =
    argument === undefined
      ? await ask(`GET /api/memory/undo?${new URLSearchParams({ group })}`)
      : await ask('POST /api/memory/undo', { group, run: Number(argument) });
  if (values.json) return JSON.stringify(answer, null, 2);
  if (argument !== undefined) {
    const isDone = z.object({ state: z.string() }).parse(answer).state === 'done';
    return isDone ? `What run ${argument} wrote is taken back.` : 'It waits for its container.';
  }
  const { run, files } = undoable.parse(answer);
  if (run === null) return `No change of a run is left in ${group} that could be taken back (pinch memory).`;
  const changes = files.map(({ path, isNew, isDeleted, diff }) => {
    const what = isDeleted ? 'deleted' : isNew ? 'new' : 'changed';
    return `${path} (${what})\n${diff}`;
  });
  const when = shortTime(Math.max(...files.map(({ at }) => at)), systemClock.now(), config.timeZone);
  const ofGroup = group === 'main' ? '' : ` --group ${group}`;
  return `Run ${run} wrote this, ${when}:\n\n${changes.join('\n\n')}\n\nTake it back: pinch undo ${run}${ofGroup}. What was sent stays sent.`;
}

/** Throws PinchError. */
async function runMemory(
  { ask, json, isAll, timeZone }: Pick<Call, 'ask'> & { json: boolean; isAll: boolean; timeZone: string },
  what: string,
  argument: string | undefined,
) {
  if (what === 'list') {
    const answer = await ask(`GET /api/memory?${new URLSearchParams({ group: argument ?? 'main' })}`);
    return json ? JSON.stringify(answer, null, 2) : listText(listed.parse(answer), isAll, timeZone);
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

function listText({ files }: z.infer<typeof listed>, isAll: boolean, timeZone: string): string {
  const shown = isAll ? undefined : SHOWN_VERSIONS;
  const isCut = !isAll && files.some(({ versions }) => versions.length > SHOWN_VERSIONS);
  const lines = files.flatMap(({ path, versions }) => [
    path,
    ...versions.slice(0, shown).map((one) => line(one, timeZone)),
  ]);
  return [...lines, ...(isCut ? ['', 'Older versions: `--all`'] : [])].join('\n') || 'no memory files yet';
}

function line(
  { id, at, run, size, by, deleted, kept, sources, secret }: z.infer<typeof version>,
  zone: string,
): string {
  const what = deleted ? 'deleted' : `${size} bytes${kept ? '' : ', not kept'}`;
  const notes = [...sources.map((source) => `after it read ${source}`), ...(secret ? [`secret: ${secret}`] : [])];
  return `  ${id}  ${shortTime(at, systemClock.now(), zone)}  ${run === null ? by : `run ${run}`}  ${[what, ...notes].join('; ')}`;
}
