// The chat commands about runs, and what holds all of them back: /runs, /retry, /pause, /resume.
import { goOn, type LoopGuard } from '../budgets/guard.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { type Chat, type Group, type Run, sessionName } from '../core/types.js';
import { type NoticeActions, sendAgain } from '../delivery/notice-press.js';
import { type ChatCommand, type CommandCall, inGroup, saying } from '../groups/chat-command.js';
import type { HeldBack } from './held-back.js';
import { EVERY_GROUP } from './pauses.js';
import { replayCommands } from './replay-chat.js';
import { type RetryDeps, retryRun } from './retry-run.js';
import { compactionKey, isCompaction } from './run-input.js';
import { lengthText, runDetails, runLine } from './run-text.js';
import type { StopSwitch } from './stop-switch.js';

export interface RunCommandDeps extends RetryDeps {
  config: Pick<Config, 'timeZone' | 'runtime'>;
  stopSwitch: Pick<StopSwitch, 'stopped'>;
  heldBack: HeldBack;
  /** Ends the emergency stop. */
  resume(): void;
  guard: Pick<LoopGuard, 'release'>;
}

const LISTED = 10;

export function runCommands(deps: RunCommandDeps): ChatCommand[] {
  const { store } = deps;
  return [
    {
      usage: '/runs [<number>]',
      what: 'what I did lately, what it cost and why it failed; with a number: one of them',
      inShort: 'the last ten runs; `/runs 12`: why, and more',
      forMembers: true,
      answer: inGroup(store, (group, call) => showRuns(deps, group, call)),
    },
    {
      usage: '/retry <number>',
      what: 'try again what failed or was stopped; `message <number>`: send again what could not be sent',
      answer: inGroup(store, (group, call) => {
        const [, message] = /^message\s+#?(\d{1,15})$/i.exec(call.argument) ?? [];
        if (message !== undefined) return retryMessage(deps, group, Number(message));
        const run = runNamed(deps, group, call);
        if (!run)
          return 'Write `/retry` and the number of a run that failed, or `/retry message` and that of a message; `/runs` has those of runs.';
        return retry(deps, run, call.chat.id);
      }),
    },
    ...replayCommands(deps),
    {
      usage: '/compact',
      what: 'shorten this conversation now to a summary of it; memory files stay',
      answer: inGroup(store, (group, call) => compact(deps, group, call)),
    },
    {
      usage: '/pause [<group> | all]',
      what: 'start nothing new in this group (`all`: anywhere) until `/resume`; what I work on I finish',
      answer: inGroup(store, (group, { argument }) => pause(deps, group, argument)),
      buttons: ({ chat: { id, groupId }, argument }) =>
        deps.heldBack.buttons({ id, groupId: argument === '' ? groupId : (folderNamed(deps, argument)?.id ?? null) }),
    },
    {
      usage: '/resume [<group>]',
      what: 'go on: end the emergency stop, and the pause of all or of this group',
      // Also where nobody registered the chat: it ends the emergency stop.
      answer: ({ chat, argument, messageId }) =>
        tooLate(deps, { chat, messageId, argument }) ??
        saying(() => resume(deps, chat.groupId === null ? undefined : store.groups.get(chat.groupId), argument)),
    },
  ];
}

/** The owner sees all groups in main, and elsewhere that one; a member this chat. */
function maySee({ isMain, id }: Group, { chat, byOwner }: CommandCall, run: Run): boolean {
  if (!byOwner) return run.chatId === chat.id;
  return isMain || run.groupId === id;
}

/** Undefined when the argument is no number. Throws PinchError `not_found`, which does not tell whether there is such a run elsewhere. */
function runNamed({ store }: RunCommandDeps, group: Group, call: CommandCall): Run | undefined {
  const [, number] = /^(?:run\s+)?#?(\d{1,15})$/i.exec(call.argument) ?? [];
  if (number === undefined) return undefined;
  const run = store.runs.get(Number(number));
  if (run && maySee(group, call, run)) return run;
  throw new PinchError('not_found', `there is no run ${number} here`, { hint: '`/runs` has the numbers' });
}

function showRuns(deps: RunCommandDeps, group: Group, call: CommandCall): string {
  const { store, clock, config } = deps;
  const { chat, byOwner, argument } = call;
  const texts = { store, now: clock.now(), timeZone: config.timeZone };
  const seesAll = group.isMain && byOwner;
  const run = runNamed(deps, group, call);
  if (run) return runDetails(texts, run, seesAll);
  if (argument !== '') return 'Write `/runs`, or `/runs` and the number of one.';
  const ofGroup = () => (seesAll ? store.runs.list(null, LISTED) : store.runs.ofGroup(group.id, LISTED));
  const runs = byOwner ? ofGroup() : store.runs.ofChat(chat.id, LISTED);
  const [first] = runs;
  if (!first) return 'There was nothing to do yet.';
  const failed = runs.find(({ state }) => state === 'dead');
  const again = failed && byOwner ? `, \`/retry ${failed.id}\` tries that one again` : '';
  const more = `\n\n\`/runs ${(failed ?? first).id}\` says more${again}; \`/recap\` sums up since yesterday evening.`;
  return runs.map((one) => `- ${runLine(texts, one, seesAll)}`).join('\n') + more;
}

/** What the buttons below a notice about a run do. */
export function runActions(deps: RunCommandDeps): NoticeActions {
  const { store, clock, config } = deps;
  return {
    run({ words: [what, id, usd], isUsed, chat }) {
      const run = store.runs.get(Number(id));
      const texts = { store, now: clock.now(), timeZone: config.timeZone };
      if (!run) return { text: `Run ${id} is no longer known.`, again: false };
      if (what === 'show') return { text: runDetails(texts, run, true), again: true };
      if (isUsed) return { text: `That was pressed already. ${runLine(texts, run, true)}`, again: false };
      if (what !== 'raise') return { text: saying(() => retry(deps, run, chat.id)), again: false };
      const raised = `It may cost $${usd} now. `;
      return {
        text: saying(() => store.transaction(() => raised + raise(deps, run, Number(usd), chat.id))),
        again: false,
      };
    },
    /** The model does not let us in: whoever saw to that need not wait. */
    model({ words: [, id] }) {
      if (!store.groups.get(Number(id))?.parkedClass)
        return { text: 'Nothing waits for the model there any more.', again: false };
      store.groups.retryParked(clock.now());
      store.signal('run:ready');
      return { text: 'I try it again.', again: true };
    },
    resume: ({ words, chat }) => ({ text: saying(() => resumeByButton(deps, chat, words)), again: false }),
  };
}

/** With more to spend, for this run alone. */
function raise(deps: RunCommandDeps, run: Run, usd: number, from: number): string {
  const text = retry(deps, run, from);
  deps.store.runs.setLimit(run.id, usd * 1e6);
  return text;
}

/** A word so old came when we could be reached again. */
const LATE_MS = 2 * 60_000;

/** What was written before everything was stopped or paused, and comes after it, was not meant for that. */
function tooLate(
  { store, clock, heldBack }: RunCommandDeps,
  call: Pick<CommandCall, 'chat' | 'messageId' | 'argument'>,
) {
  const held = heldBack.of(call.chat);
  const writtenAt = store.messages.get(call.messageId)?.sentAt ?? clock.now();
  if (!held || call.argument.toLowerCase() === 'now' || writtenAt > clock.now() - LATE_MS || writtenAt > held.since)
    return undefined;
  return `That came ${lengthText(clock.now() - writtenAt)} late. ${held.text}, after you wrote it; \`/resume now\` lets me go on.`;
}

/** What the button names may be over, and something else hold now. */
function resumeByButton(deps: RunCommandDeps, chat: Chat, [kind = '', id, at]: string[]): string {
  const { store, heldBack } = deps;
  const held =
    kind === 'pause' && id !== `${EVERY_GROUP}` ? heldBack.of({ id: 0, groupId: Number(id) }) : heldBack.of(chat);
  if (!held) return 'Nothing is stopped or paused there any more.';
  if (held.name !== [kind, id, at].filter(Boolean).join(':'))
    return `That is over. ${held.text} by something else; ${held.goOn} lets me go on.`;
  if (kind === 'hold') return goOn(deps.guard, Number(id));
  const groupId = kind === 'pause' ? Number(id) : chat.groupId;
  return resume(deps, groupId === null ? undefined : store.groups.get(groupId), '');
}

/** A message that could not be sent; the owner sees those of all in main, and elsewhere those to chats of that group. */
function retryMessage(deps: RunCommandDeps, { id: groupId, isMain }: Group, number: number): string {
  const { store } = deps;
  const row = store.outbox.get(number);
  const isHere = row && (isMain || store.groups.chat(row.chatId)?.groupId === groupId);
  return isHere ? sendAgain(deps, number) : `There is no message ${number} here.`;
}

/** `from`: the chat that hears of it. */
function retry(deps: RunCommandDeps, run: Run, from: number): string {
  retryRun(deps, run, from);
  const chat = deps.store.groups.chat(run.chatId);
  const where = chat && chat.id !== from ? ` Its answer goes to ${chat.title.slice(0, 60)}.` : '';
  return `Run ${run.id} starts again.${where}${chat ? deps.heldBack.note(chat) : ''}`;
}

/** A run of the session: it waits until what works there is done. No message is taken in by it. */
function compact(
  { store, clock, heldBack }: RunCommandDeps,
  { id: groupId }: Group,
  { chat, messageId }: CommandCall,
): string {
  const [now, session] = [clock.now(), sessionName(chat)];
  if (
    store.runs.openOfChat(chat.id).some((run) => run.session === session && run.state === 'ready' && isCompaction(run))
  )
    return `That waits for its turn already.${heldBack.note(chat)}`;
  const key = compactionKey(session, messageId);
  store.runs.enqueue({ key, kind: 'hook', groupId, chatId: chat.id, session, runAt: now, now });
  store.signal('run:ready');
  return `I shorten this conversation and say when it is done.${heldBack.note(chat)}`;
}

const folderNamed = ({ store }: RunCommandDeps, name: string): Group | undefined =>
  store.groups.all().find(({ folder }) => folder.toLowerCase() === name.toLowerCase());

/** The group that is named, else this one; undefined for all. */
function groupNamed(deps: RunCommandDeps, group: Group | undefined, argument: string): Group | undefined {
  const name = argument.toLowerCase();
  if (name === 'all') return undefined;
  if (name === '') return group;
  const named = folderNamed(deps, name);
  if (named) return named;
  throw new PinchError('not_found', `there is no group "${argument.slice(0, 60)}"`, {
    hint: 'alone it means this group, with `all` every group',
  });
}

const A_TIME = /^(?:for|until|till)\b|^\d/i;

function pause(deps: RunCommandDeps, here: Group, argument: string): string {
  const { store, clock } = deps;
  if (A_TIME.test(argument) && !folderNamed(deps, argument))
    return 'Nothing is paused: a pause has no end of its own. `/pause` holds until `/resume`.';
  const group = groupNamed(deps, here, argument);
  const isNew = store.pauses.add(group?.id ?? EVERY_GROUP, clock.now());
  const what = group ? `The group \`${group.folder}\` is` : 'All groups are';
  const goOn = group && group.id !== here.id ? `/resume ${group.folder}` : '/resume';
  return `${what} paused${isNew ? '' : ' already'}: I start nothing new there, and what comes in waits. \`${goOn}\` lets me go on; \`/stop all\` also ends what I work on.`;
}

/** One meaning: whatever holds this group back ends. The pauses of other groups stay, and are named. */
function resume(deps: RunCommandDeps, here: Group | undefined, argument: string): string {
  const { store, stopSwitch } = deps;
  const group = groupNamed(deps, here, argument.replace(/^now$/i, ''));
  const wasStopped = stopSwitch.stopped();
  const meant =
    argument.toLowerCase() === 'all' ? store.pauses.all().map(({ groupId }) => groupId) : [EVERY_GROUP, group?.id];
  const ended = meant.filter((id) => id !== undefined && store.pauses.remove(id));
  // What looks at the store again when everything goes on is told in any case.
  store.afterCommit(deps.resume);
  const left = store.pauses.all().flatMap(({ groupId }) => store.groups.get(groupId)?.folder ?? []);
  const others = left.length > 0 ? ` Still paused: ${left.map((name) => `\`/resume ${name}\``).join(', ')}.` : '';
  const wasHeld = wasStopped || ended.length > 0;
  return `${wasHeld ? 'I go on.' : 'Nothing was stopped or paused here.'}${others}`;
}
