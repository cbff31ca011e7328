// Words that look like a command and are none, or none for whoever writes them: they are answered, and never reach the model. Pure.
import { nearest } from '../core/nearest.js';
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

/** Words of other assistants and bots for what has another name here. */
const OTHER_WORDS: Record<string, string> = {
  stop: 'abort cancel halt kill quit exit end break silence',
  new: 'reset clear forget restart',
  budget: 'limit raise cap spend',
  cost: 'usage price money bill spent',
  resume: 'unpause unstop start wake',
  task: 'schedule remind reminder cron todo',
  retry: 'again redo repeat',
  undo: 'revert restore back',
  status: 'info ping health version uptime',
  progress: 'verbose quiet',
  help: 'commands menu about settings',
  approve: 'yes confirm accept',
  deny: 'no reject',
};

/** Those that mean it. */
export const meantCommands = (word: string, commands: ChatCommand[]): ChatCommand[] =>
  commands.filter((command) => OTHER_WORDS[commandName(command).slice(1)]?.split(' ').includes(word));

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
