// Words that look like a command and are none, or none for whoever writes them: they are answered, and never reach the model. Pure.
import { meant, nearest } from '../core/nearest.js';
import type { ChatCommand } from '../groups/chat-command.js';

/** Where paths of a machine begin. `/run` is not among them: it may be meant for `/runs`. */
const FOLDERS = new Set(
  [
    'bin',
    'boot',
    'dev',
    'etc',
    'home',
    'lib',
    'media',
    'mnt',
    'opt',
    'private',
    'proc',
    'root',
    'sbin',
    'srv',
    'sys',
  ].concat(['tmp', 'usr', 'var', 'volumes', 'users', 'applications', 'library', 'workspace', 'global', 'sessions']),
);
const MAX_NEAR = 3;

export const commandName = ({ usage }: Pick<ChatCommand, 'usage'>): string => usage.split(' ')[0] ?? '';

/**
 * The name that a text begins with when it can only be meant as a command: a slash and one word, with a blank or the end behind it. A path
 * (`/home/x`, `/etc`), a file (`/a.txt`), a command of another bot (`/new@OtherBot`) and a slash alone are none.
 */
export function wordOfCommand(text: string): string | undefined {
  const [, word] = /^\/(\p{L}[\p{L}\p{N}_-]{0,31})[.,;:!?]*(?:\s|$)/u.exec(text.trim()) ?? [];
  return word === undefined || FOLDERS.has(word.toLowerCase()) ? undefined : word.toLowerCase();
}

/** Those for which people say it. */
function meantCommands(word: string, commands: ChatCommand[]): ChatCommand[] {
  const nameOf = (command: ChatCommand) => commandName(command).slice(1);
  const names = meant(word, commands.map(nameOf));
  return commands.filter((command) => names.includes(nameOf(command)));
}

/** Those that may have been meant, the nearest first. */
export function nearestCommands(word: string, commands: ChatCommand[]): ChatCommand[] {
  const found: ChatCommand[] = [];
  const left = () => commands.filter((command) => !found.includes(command));
  const nameOf = (command: ChatCommand) => commandName(command).slice(1);
  const next = () => {
    const near = nearest(word, left().map(nameOf));
    return (
      left().find((command) => nameOf(command) === near) ?? left().find((command) => begins(word, nameOf(command)))
    );
  };
  for (let near = next(); near && found.length < MAX_NEAR; near = next()) found.push(near);
  return found;
}

/** All that may have been meant: by what people say, then by the letters. */
export const wantedCommands = (word: string, commands: ChatCommand[]): ChatCommand[] => [
  ...new Set([...meantCommands(word, commands), ...nearestCommands(word, commands)]),
];

/** `/stat` for `/status`, `/tasklist` for `/task`. */
const begins = (word: string, name: string): boolean =>
  (word.length > 2 && name.startsWith(word)) || (name.length > 3 && word.startsWith(name));

export function unknownCommandText(word: string, near: ChatCommand[]): string {
  const meant = near.map(({ usage }) => `\`${usage}\``).join(' or ');
  return `There is no \`/${word}\`.${meant ? ` Did you mean ${meant}?` : ''} \`/help\` lists what I understand.`;
}

export const notYoursText = (command: ChatCommand): string =>
  command.forMembers === 'bare'
    ? `Only my owner may use \`${commandName(command)}\` with something behind it; alone it is yours too.`
    : `Only my owner may use \`${commandName(command)}\`. \`/help\` lists what you may use.`;
