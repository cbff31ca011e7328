// The chat commands /undo and /memory, both the owner's: what a run wrote down is shown, and taken back after a yes.
import type { Config } from '../core/config.js';
import type { Chat, Group } from '../core/types.js';
import { type ChatCommand, type CommandCall, inGroup } from '../groups/chat-command.js';
import type { OnPress } from '../groups/press.js';
import type { Restores } from './restore.js';
import type { Version } from './rows.js';
import type { Store } from './store.js';
import { itemsOf, type Undo, undoOf } from './undo.js';
import { aboutVersion, diffOf, shownPath } from './view.js';

export interface MemoryCommandDeps {
  store: Store;
  config: Pick<Config, 'timeZone'>;
  restores: Pick<Restores, 'request'>;
}

/** Of one difference, and of all that are shown at once. */
const MAX_DIFF_CHARS = 1_500;
const MAX_SHOWN_CHARS = 3_000;
const MAX_FILES = 60;
const MAX_VERSIONS = 20;
const UNDO = /^undo:(.+)$/;

export function memoryCommands(deps: MemoryCommandDeps): { commands: ChatCommand[]; onPress: OnPress } {
  const { store } = deps;
  /** What each chat was shown last: only that is taken back by `/undo yes`. */
  const shown = new Map<number, { key: string; messageId: number }>();

  const isYes = ({ argument }: CommandCall) => /^(yes|ok|ja|y)$/i.test(argument);
  function undo(group: Group, call: CommandCall): string {
    const plan = undoOf(store, group.id);
    if (!plan) return 'No change of a run is left that could be taken back. `/memory` shows what there is.';
    if (call.argument && !isYes(call)) return 'Write `/undo`, and then `/undo yes`. `/memory` has older versions.';
    const last = shown.get(call.chat.id);
    if (isYes(call) && last?.key === plan.key) {
      shown.delete(call.chat.id);
      store.outbox.endButtons(`command:${last.messageId}`);
      return takeBack(deps, group, call.chat, plan);
    }
    shown.set(call.chat.id, { key: plan.key, messageId: call.messageId });
    const note = isYes(call) ? 'This was not shown yet, or has changed since. ' : '';
    return `${note}${undoText(deps, plan)}`;
  }
  const commands: ChatCommand[] = [
    {
      usage: '/undo [yes]',
      what: 'what the last run changed in its memory files, and take it back',
      inShort: 'take back what I wrote to memory last',
      answer: inGroup(store, undo),
      buttons(call) {
        const plan = call.chat.groupId === null ? undefined : undoOf(store, call.chat.groupId);
        return plan && shown.get(call.chat.id)?.key === plan.key
          ? [{ label: 'Take it back', value: `undo:${plan.key}` }]
          : [];
      },
    },
    {
      usage: '/memory [<file> | <version> | restore <version>]',
      what: 'the memory files here, their versions and what each changed; bring one back',
      answer: inGroup(store, (group, call) => memory(deps, group, call)),
    },
  ];
  const onPress: OnPress = ({ value, chat, isOwner }) => {
    const [, key] = UNDO.exec(value) ?? [];
    const group = isOwner && key && chat.groupId !== null ? store.groups.get(chat.groupId) : undefined;
    if (!group) return undefined;
    const plan = undoOf(store, group.id);
    if (!plan || plan.key !== key)
      return {
        text: 'The memory files have changed since I showed you this. `/undo` shows what there is now.',
        again: false,
      };
    return { text: takeBack(deps, group, chat, plan), again: false };
  };
  return { commands, onPress };
}

function takeBack({ restores }: MemoryCommandDeps, group: Group, chat: Chat, undo: Undo): string {
  const { files, runId } = undo;
  restores.request(group.id, chat.id, itemsOf(undo));
  const again = files.map(({ now }) => `\`/memory restore ${now.id}\``).join(', ');
  return `I take back what run ${runId} changed, and say when it is done. Should it have been right after all: ${again}.`;
}

function undoText({ store, config }: MemoryCommandDeps, { runId, files }: Undo): string {
  const when = Math.max(...files.map(({ now }) => now.at));
  let left = MAX_SHOWN_CHARS;
  const parts = files.map(({ now, back }) => {
    const shown = fenced(diffOf(store, back, now), Math.min(left, MAX_DIFF_CHARS));
    left = Math.max(0, left - shown.length);
    const what = now.state === 'deleted' ? 'deleted' : back && back.state !== 'deleted' ? 'changed' : 'new';
    return `${shownPath(now.path)} (${what})\n${shown}`;
  });
  const latest = files.find(({ now }) => now.at === when)?.now;
  const about = latest ? aboutVersion({ ...latest, runId }, config.timeZone) : '';
  return `The last change by a run: ${about}\n\n${parts.join('\n\n')}\n\nTake it back: \`/undo yes\`. What was sent stays sent.`;
}

function memory(deps: MemoryCommandDeps, group: Group, { argument, chat }: CommandCall): string {
  const { store } = deps;
  const [, restore, id] = /^(restore\s+)?#?(\d{1,15})$/i.exec(argument) ?? [];
  if (id) {
    const version = store.memory.get(Number(id));
    if (version?.groupId !== group.id)
      return `There is no version ${id} of this group's memory. \`/memory\` lists the files.`;
    if (!restore) return versionText(deps, version);
    deps.restores.request(group.id, chat.id, [{ path: version.path, version: version.id }]);
    return `I bring back ${shownPath(version.path)} as it was in version ${id}, and say when it is done.`;
  }
  return argument ? versionList(deps, group, argument) : fileList(deps, group);
}

function fileList({ store, config }: MemoryCommandDeps, group: Group): string {
  const files = store.memory.allNewest(group.id).filter(({ state }) => state !== 'deleted');
  if (files.length === 0) return 'The journal has no memory files of this group yet: it gets them with the next run.';
  const lines = files
    .slice(0, MAX_FILES)
    .map((one) => `- ${shownPath(one.path)} (version ${one.id}): ${aboutVersion(one, config.timeZone)}`);
  const more = files.length > MAX_FILES ? [`- … and ${files.length - MAX_FILES} more`] : [];
  return [...lines, ...more, '\n`/memory <file>`: its versions. `/memory <version>`: what it changed.'].join('\n');
}

function versionList({ store, config }: MemoryCommandDeps, group: Group, path: string): string {
  const versions = store.memory.ofFile(group.id, path, MAX_VERSIONS);
  if (versions.length === 0) return `There is no memory file ${shownPath(path)} here. \`/memory\` lists them.`;
  return versions.map((one) => `- ${one.id}: ${aboutVersion(one, config.timeZone)}`).join('\n');
}

function versionText({ store, config }: MemoryCommandDeps, version: Version): string {
  const before = store.memory.before(version.groupId, version.path, version.id, null);
  const diff = fenced(diffOf(store, before, version), MAX_SHOWN_CHARS);
  return `${shownPath(version.path)}, version ${version.id}: ${aboutVersion(version, config.timeZone)}\n${diff}\nBring it back: \`/memory restore ${version.id}\`.`;
}

/** As code, so that nothing in it is anything else. */
function fenced(diff: string, most: number): string {
  if (diff === '') return '(no difference)';
  const shown = diff.length > most ? `${diff.slice(0, most)}\n… (the page shows all of it)` : diff;
  const ticks = Math.max(2, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length)) + 1;
  return `${'`'.repeat(ticks)}diff\n${shown}\n${'`'.repeat(ticks)}`;
}
