// `pinch backup <file>` and `pinch restore <file>` in the terminal.
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { isEncrypted } from './archive.js';
import { makeBackup } from './backup.js';
import { type Restored, restoreHome } from './restore.js';
import type { Store } from './store.js';

interface Call {
  config: Config;
  argument: string | undefined;
  values: {
    encrypt?: string | boolean | undefined;
    force?: string | boolean | undefined;
    json?: string | boolean | undefined;
  };
}

interface Command {
  usage: string;
  what: string;
  words?: readonly string[];
  options: readonly string[];
  run(call: Call): Promise<number>;
}

interface CommandDeps {
  clock: Clock;
  openStore(file: string): Promise<Store>;
}

const WHATSAPP =
  'WhatsApp: its link is as it was then. If another Pinch still uses it, one of the two is thrown out; if messages stay unreadable, take the device away on the phone and link it again.';

/** They need no running daemon: a backup works beside it, a restore only without it. */
export const backupCommands = (deps: CommandDeps): Command[] => [
  {
    usage: 'backup <file>',
    what: 'the whole home in one file, while Pinch works or not (--encrypt asks for a passphrase)',
    options: ['encrypt'],
    run: (call) => runBackup(deps, call),
  },
  {
    usage: 'restore <file>',
    what: 'a home from such a file, into an empty one (--force moves aside what is there); nothing is sent again',
    options: ['force'],
    run: (call) => runRestore(deps, call),
  },
];

async function runBackup({ clock }: CommandDeps, { config, argument, values }: Call): Promise<number> {
  const file = fileOf(argument, 'backup');
  const passphrase = values.encrypt === true ? await askPassphrase(true) : undefined;
  const made = await makeBackup({ config, file, passphrase, now: clock.now(), onProgress: tellFiles('read') });
  if (values.json) return print(JSON.stringify({ file, ...made }, null, 2));
  const size = `${(made.bytes / 1024 ** 2).toFixed(1)} MiB`;
  print(
    `${file}: ${made.entries} files, ${size}${passphrase === undefined ? '' : ', encrypted'}, read again and whole.`,
  );
  if (made.left.length > 0)
    print(
      `Not in it, because they could not be read: ${made.left.length} (${made.left.slice(0, 3).join(', ')}${made.left.length > 3 ? ', …' : ''}).`,
    );
  if (passphrase === undefined) print('It has your keys and chats in it: keep it where only you can read it.');
  return 0;
}

async function runRestore({ clock, openStore }: CommandDeps, { config, argument, values }: Call): Promise<number> {
  const file = fileOf(argument, 'restore');
  const passphrase = isEncrypted(file) ? await askPassphrase(false) : undefined;
  const force = values.force === true;
  const restored = await restoreHome({
    config,
    file,
    passphrase,
    force,
    clock,
    openStore,
    onProgress: tellFiles('written'),
  });
  if (values.json) return print(JSON.stringify({ home: config.home, ...restored }, null, 2));
  return print(storyOf(config, restored));
}

function storyOf(config: Config, { at, entries, aside, before }: Restored): string {
  const { runs, messages, slots, approvals } = aside;
  return [
    `${config.home} is as it was at ${new Date(at).toISOString()}: ${entries} files.`,
    `Set aside, because it may have been done since: ${runs} runs, ${messages} messages, ${slots} times of tasks, ${approvals} approvals. Nothing is sent again.`,
    ...(before === undefined ? [] : [`What was here before: ${before}. Remove it when you do not miss anything.`]),
    ...(config.env.WHATSAPP_ENABLED ? [WHATSAPP] : []),
    'Further folders for containers (~/.config/pinch/mounts.json) are of each machine and not in a backup.',
    'Does the Pinch that it was made from still run? Stop that one first: both would answer, and do the same tasks.',
    'Start it with `npm start`.',
  ].join('\n');
}

function fileOf(argument: string | undefined, verb: string): string {
  if (argument !== undefined && argument !== '') return resolve(argument);
  throw new PinchError('usage', `say which file: pinch ${verb} <file>`);
}

/** A line on standard error, so that `--json` stays JSON. */
const tellFiles = (verb: string) => (entries: number) => void process.stderr.write(`… ${entries} files ${verb}\n`);

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

/** Typed unseen; where nobody types, the first line of the input. Throws PinchError when there is none, or the two differ. */
async function askPassphrase(twice: boolean): Promise<string> {
  const isTyped = process.stdin.isTTY && process.stderr.isTTY;
  let isHidden = false;
  const output = new Writable({
    write(chunk, _encoding, done) {
      if (!isHidden) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: isTyped });
  const ask = async (question: string) => {
    const answer = lines.question(question);
    isHidden = true;
    const text = await answer;
    isHidden = false;
    if (isTyped) process.stderr.write('\n');
    return text;
  };
  try {
    const passphrase = isTyped ? await ask('Passphrase: ') : await firstLine(lines);
    if (passphrase === '') throw new PinchError('usage', 'the passphrase is empty');
    if (twice && isTyped && (await ask('Once more: ')) !== passphrase) throw new PinchError('usage', 'the two differ');
    return passphrase;
  } finally {
    lines.close();
  }
}

async function firstLine(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) return line;
  return '';
}
