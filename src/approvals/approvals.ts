// Approvals: the owner's yes to one exact action. What was shown is what is done: the host keeps the request, and the transaction that records
// the yes carries it out. So nothing is done twice or half, whatever dies when. What is no row is done after it: again
// at each start until it has ended, or once where a second time would do harm; then a crash in between is told. Modules add their kinds.
import { createHash, randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Begun } from '../core/begun.js';
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { describeError, PinchError } from '../core/errors.js';
import { oneLine, shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import type { Chat, Run } from '../core/types.js';
import { startOrSteer } from '../runs/start-or-steer.js';
import type { Taint } from '../taint/rows.js';
import { cardButtons, cardDetail, cardText, MAX_CONTENT_CHARS, titleOf } from './card.js';
import { createLater, unknownKind } from './later.js';
import type { Approval, ApprovalState } from './rows.js';
import type { Store } from './store.js';

export interface ApprovalDeps extends Pick<LoopDeps, 'clock'> {
  store: Store;
  config: Pick<Config, 'timeZone'>;
  ownerChat(): Chat;
  stopped(): boolean;
  /** Knows at the next start what was being carried out when Pinch ended. */
  begun?: Begun;
  /** Corrects what a clock that jumped makes of the times in rows: nobody could answer while the machine slept. */
  lookAtClock?(): void;
}

/** What can be asked for. */
export type ApprovalKind<Input extends object> = KindFacts<Input> & (AtOnce<Input> | Later<Input>);

interface KindFacts<Input extends object> {
  name: string;
  input: z.ZodType<Input>;
  /** How many one group may have open. */
  maxOpen: number;
}

interface AtOnce<Input> {
  /**
   * Does what was shown, at once and with nothing but rows: it is in the transaction of the yes. Returns what holds now, Markdown.
   * Throws PinchError when it cannot be done any more.
   */
  carryOut(input: Input, how: { approval: Approval; always: boolean }): string;
}

interface Later<Input> {
  /**
   * The same where the effect is no row: begun once the yes is committed, and again at each start until it has ended. So a second time must
   * do no harm. Any error is the end.
   */
  carryOutLater(input: Input, approval: Approval): Promise<string>;
  /** A second time would do harm: where Pinch ends meanwhile, the next start only says that nobody knows. */
  once?: boolean;
}

export interface ApprovalRequest<Input extends object> {
  /** Whose agent asks, and in which run; null: nobody's. */
  groupId: number | null;
  run?: Run | undefined;
  /** The chat it is about, else the run's. */
  chatId?: number | undefined;
  /** What the yes allows, one plain line. */
  subject: string;
  /** The same for the agent that asks, where the subject says what it may not know. */
  agentSubject?: string | undefined;
  /** More about it, each a line of ours. */
  lines?: string[];
  /** Words of a container or a stranger that are part of the action. */
  content?: string | undefined;
  /** What "always" would mean. */
  always?: string;
  /** What the container that asks may have read. */
  taint?: Taint | undefined;
  input: Input;
}

export interface Decision {
  decision: 'allow' | 'deny';
  scope?: 'once' | 'always' | undefined;
  /** Who decided, and where. */
  by: string;
  /** The chat it was said in; none on the page and in a terminal. */
  chatId?: number | undefined;
}

const DAY_MS = 86_400_000;
const EXPIRES_MS = DAY_MS;
/** Cards that one group can bring about a day, in all: an owner who gets more stops reading them. */
const MAX_A_DAY = 30;

/** How each kind is carried out; undefined: `later`. */
type Kinds = Map<string, (how: { approval: Approval; always: boolean }) => string | undefined>;

export type Approvals = ReturnType<typeof createApprovals>;

export function createApprovals(deps: ApprovalDeps) {
  const { store, clock } = deps;
  const kinds: Kinds = new Map();
  const later = createLater(
    clock,
    (approval, state, result) => {
      store.transaction(() => close(deps, { ...approval, state: 'allowed' }, state, { result }));
    },
    deps.begun,
  );
  let timer: { cancel(): void } | undefined;

  function watchExpiry(): void {
    timer?.cancel();
    store.transaction(() => {
      for (const approval of store.approvals.due(clock.now())) close(deps, approval, 'expired', { result: null });
    });
    const next = store.approvals.nextExpiry(clock.now());
    const expire = () => {
      deps.lookAtClock?.();
      watchExpiry();
    };
    timer = next === undefined ? undefined : clock.at(next, expire);
  }

  return {
    /** Adds a kind; returns how it is asked for. The same request twice is one approval. Throws `too_many` or `too_large`. */
    kind<Input extends object>(kind: ApprovalKind<Input>) {
      if ('carryOut' in kind) kinds.set(kind.name, (how) => kind.carryOut(kind.input.parse(how.approval.input), how));
      else {
        const work = async (approval: Approval) => kind.carryOutLater(kind.input.parse(approval.input), approval);
        later.kinds.set(kind.name, { work, once: kind.once === true });
        kinds.set(kind.name, ({ approval }) => void store.afterCommit(() => later.begin(approval)));
      }
      return (request: ApprovalRequest<Input>): Approval => {
        const approval = store.transaction(() => ask(deps, kind, request));
        watchExpiry();
        return approval;
      };
    },
    /** Returns what came of it, for whoever decided. Throws PinchError when this is not open, or not theirs to decide here. */
    decide: (id: number, decision: Decision): string => store.transaction(() => decide(deps, kinds, id, decision)),
    /** The approval once it is decided and carried out, or as it is after `ms`. */
    async wait(id: number, ms: number): Promise<Approval | undefined> {
      const over = new AbortController();
      const isOver = () => !['open', 'allowed'].includes(store.approvals.get(id)?.state ?? '');
      const look = (changed: number) => changed === id && isOver() && over.abort();
      store.signals.on('approval', look);
      if (!isOver()) await clock.sleep(ms, over.signal);
      store.signals.off('approval', look);
      return store.approvals.get(id);
    },
    start(): void {
      store.signals.on('clock', watchExpiry);
      watchExpiry();
      for (const approval of store.approvals.allowed()) later.goOn(approval);
    },
    /** Waits a little for what must not be begun a second time. */
    async stop(): Promise<void> {
      timer?.cancel();
      await later.stop();
    },
  };
}

function ask<Input extends object>(deps: ApprovalDeps, kind: ApprovalKind<Input>, request: ApprovalRequest<Input>) {
  const { store, clock, config } = deps;
  const { groupId, run, input, content, lines = [] } = request;
  const now = clock.now();
  const hash = createHash('sha256')
    .update(JSON.stringify([kind.name, groupId, input]))
    .digest('hex');
  const before = store.approvals.latest(hash);
  if (before && isAnswer(before, run, now)) return before;
  checkRoom(store, kind, request, now);
  const taint = taintText(request.taint, config.timeZone);
  const id = store.approvals.add({
    kind: kind.name,
    groupId,
    chatId: request.chatId ?? run?.chatId ?? null,
    runId: run?.id ?? null,
    subject: oneLine(request.subject, 300),
    agentSubject: request.agentSubject ?? null,
    detail: cardDetail({ asker: askerOf(store, run), lines, content, taint }),
    always: request.always ?? null,
    input,
    hash,
    createdAt: now,
    expiresAt: now + EXPIRES_MS,
  });
  const approval = id === undefined ? undefined : store.approvals.get(id);
  if (!approval) throw new Error('a new approval was not stored');
  const chat = cardChat(deps, run);
  store.approvals.setCard(approval.id, chat.id);
  const text = cardText(approval, timeText(approval.expiresAt, config.timeZone));
  const buttons = cardButtons(approval);
  store.outbox.add({ key: cardKey(approval.id), chatId: chat.id, runId: null, text, buttons, now });
  if (run) store.events.add(run.id, now, 'approval_asked', { approval: approval.id, what: approval.subject });
  store.signal('approval', approval.id);
  return approval;
}

/** No agent can make a message with such a key, so a card cannot be forged by its text. */
const cardKey = (id: number) => `approval:${id}`;
export const approvalOfCard = (key: string): number | undefined =>
  Number(/^approval:(\d+)$/.exec(key)?.[1]) || undefined;

/** Whether an earlier request for the same says it all: it waits, or the owner said no today, or it is of this very run. */
function isAnswer({ state, runId, createdAt }: Approval, run: Run | undefined, now: number): boolean {
  if (state === 'open' || state === 'allowed') return true;
  if (state === 'denied' && createdAt > now - DAY_MS) return true;
  return run !== undefined && runId === run.id && state !== 'failed';
}

const TOO_LONG = `the owner is asked about ${MAX_CONTENT_CHARS} characters at most; make it shorter`;

function checkRoom<Input extends object>(
  store: Store,
  { name, maxOpen }: ApprovalKind<Input>,
  { groupId, content = '' }: ApprovalRequest<Input>,
  now: number,
): void {
  if (content.length > MAX_CONTENT_CHARS) throw new PinchError('too_large', TOO_LONG);
  const lately = store.approvals.lately(groupId ?? 0, now - DAY_MS);
  const open = lately.filter(({ kind, state }) => kind === name && state === 'open');
  if (open.length < maxOpen && lately.length < MAX_A_DAY) return;
  const why = 'the owner is being asked about too much already; end your turn, and say what you need in the chat';
  throw new PinchError('too_many', why);
}

/** The chat that the run works for, where that is the owner's own; else where the owner is found. */
function cardChat({ store, ownerChat }: ApprovalDeps, run: Run | undefined): Chat {
  const chat = run && store.groups.chat(run.chatId);
  const isOwners = chat?.kind === 'direct' && chat.groupId !== null && store.groups.get(chat.groupId)?.isMain;
  return chat && isOwners ? chat : ownerChat();
}

const taintText = (taint: Taint | undefined, timeZone: string) =>
  taint && `It may act on what it was given: ${shownLine(taint.source, 200)} (${timeText(taint.at, timeZone)}).`;

function askerOf({ groups, messages, runs }: Store, run: Run | undefined): string | undefined {
  if (!run) return undefined;
  const chat = groups.chat(run.chatId);
  const task = runs.input(run.id);
  const last = messages.ofRun(run.id).findLast(({ senderId }) => senderId !== null);
  const who = task ? `, for task ${task.taskId}` : last ? `, for ${shownLine(last.senderName, 80)}` : '';
  return `run ${run.id} in the chat ${shownLine(chat?.title ?? '?', 80)}${who}`;
}

function decide(deps: ApprovalDeps, kinds: Kinds, id: number, { decision, scope, by, chatId }: Decision): string {
  const { store, clock, stopped } = deps;
  const approval = store.approvals.get(id);
  if (!approval) throw new PinchError('not_found', `there is no approval ${id}`, { hint: '/approvals lists them' });
  if (chatId !== undefined && chatId !== approval.cardChatId)
    throw new PinchError('wrong_chat', `approval ${id} was asked in another chat`, {
      hint: 'answer it there, or on the page',
    });
  const { state, expiresAt, always } = approval;
  if (state !== 'open' || expiresAt <= clock.now())
    throw new PinchError('not_open', `approval ${id} is over: ${state === 'open' ? 'expired' : state}`);
  if (decision === 'deny') return close(deps, approval, 'denied', { by, result: null });
  if (stopped())
    throw new PinchError('stopped', 'everything is stopped', { hint: '`resume` ends that; then answer again' });
  if (scope === 'always' && always === null)
    throw new PinchError('not_always', `approval ${id} is for once only`, { hint: `write \`/approve ${id}\`` });
  try {
    const carryOut = kinds.get(approval.kind);
    if (!carryOut) throw unknownKind(approval);
    const how = { approval, always: scope === 'always' };
    const result = store.transaction(() => carryOut(how));
    return close(deps, approval, result === undefined ? 'allowed' : 'done', { by, result: result ?? null });
  } catch (error) {
    if (!(error instanceof PinchError)) throw error;
    return close(deps, approval, 'failed', { by, result: describeError(error) });
  }
}

interface Closing {
  by?: string;
  result: string | null;
}

/** Records the end (of a yes that takes time: the yes), tells the agent, and returns what it came to. */
function close(deps: ApprovalDeps, approval: Approval, state: ApprovalState, { by, result }: Closing): string {
  const { store, clock } = deps;
  const now = clock.now();
  if (!store.approvals.close({ id: approval.id, state, decidedBy: by ?? null, result, now }))
    throw new PinchError('not_open', `approval ${approval.id} was answered meanwhile`);
  const { runId, id, cardChatId } = approval;
  store.outbox.endButtons(cardKey(id));
  if (runId !== null)
    store.events.add(runId, now, 'approval_decided', { approval: id, state, ...(result && { result }) });
  const text = `${titleOf(approval)}: ${endOf({ state, result })}`;
  if (state !== 'allowed') tellAgent(deps, approval, agentText({ ...approval, state, result }));
  // Whoever said yes heard that it is being done.
  if (approval.state === 'allowed' && cardChatId !== null)
    store.outbox.add({ key: `${cardKey(id)}:end`, chatId: cardChatId, runId: null, text, now });
  store.signal('approval', id);
  return text;
}

/** What came of it, in Markdown. */
export const endOf = ({ state, result }: Pick<Approval, 'state' | 'result'>): string =>
  `${ENDS[state]}.${result ? ` ${result}` : ''}`;

const ENDS: Record<ApprovalState, string> = {
  open: 'waits for an answer',
  allowed: 'yes, and it is being done',
  denied: 'no',
  expired: 'nobody answered, so it is a no',
  done: 'yes, and it is done',
  failed: 'yes, but it failed',
};

/** What the agent that asked is told. */
export const agentText = ({ id, subject, agentSubject, state, result }: Approval): string =>
  `Approval ${id} (${oneLine(agentSubject ?? subject, 300)}): ${endOf({ state, result })}${NEXT[state] ?? ''}`;

const NEXT: Partial<Record<ApprovalState, string>> = {
  open: ' The owner was asked. Their answer comes as a message in this conversation: end your turn unless there is other work.',
  allowed: ' What comes of it is told as a message in this conversation.',
  denied: ' Do not try another way; say what you could not do.',
};

/** As a message of ours in the session that asked: its run takes it in, or a new one begins. */
function tellAgent(deps: ApprovalDeps, { runId }: Approval, text: string): void {
  const { store, clock } = deps;
  const run = runId === null ? undefined : store.runs.get(runId);
  const chat = run && store.groups.chat(run.chatId);
  // The chat may belong to another group by now.
  if (!run || chat?.groupId !== run.groupId) return;
  const now = clock.now();
  const ours = {
    direction: 'in' as const,
    senderId: null,
    senderName: 'Pinch',
    byHost: true,
    platformId: randomUUID(),
  };
  const messageId = store.messages.add({ ...ours, chatId: chat.id, text, sentAt: now, now });
  if (messageId !== undefined) startOrSteer(deps, { chat, session: run.session, messageId });
}
