// What a chat is shown while a run works there: one message of ours, changed as the run goes on, and a 👀 at the message that asked. Both go when the
// run is over; where a message cannot be sent in silence, it becomes the answer instead. Nothing here is work that must be done: it waits for
// nobody, nobody waits for it, and what the platform refuses is let go. What may stand in a chat is a row, so that the next start takes it away.
import { type Channel, ChannelError } from '../channels/channel.js';
import { atMost } from '../core/clock.js';
import { describeError } from '../core/errors.js';
import type { Chat, Run } from '../core/types.js';
import type { Passing } from '../delivery/delivery.js';
import type { OutboxRow } from '../delivery/rows.js';
import { catchUp, noProgress, progressText } from '../groups/progress.js';
import { createPauses } from './pauses.js';
import type { ProgressDeps, Shown, Shows } from './shown.js';
import { createTidy, idOf } from './tidy.js';

/** An answer that comes so soon needs no word before it, and no mark. */
const REACT_AFTER_MS = 1_500;
const SHOW_AFTER_MS = 5_000;
/** Where the message makes a phone ring. */
const SHOW_LOUD_AFTER_MS = 30_000;
/** The time that has passed is brought up to date so often when nothing else changes. */
const REFRESH_MS = 30_000;
const AWAY_MS = 30_000;
/** An answer does not wait longer than that for an edit that is on its way. */
const EDIT_ON_ITS_WAY_MS = 5_000;

export function createProgress(deps: ProgressDeps): Passing & { start(): void; stop(): Promise<void> } {
  const { store, clock } = deps;
  const shows: Shows = { ...deps, shown: new Map(), ending: new Map(), pauses: createPauses(clock) };
  const tidy = createTidy(shows);
  let isOver = false;
  const begin = (runId: number) => {
    const run = store.runs.get(runId);
    if (run && !isOver) beginShowing(shows, run);
  };
  const end = (runId: number) => {
    const one = shows.shown.get(runId);
    if (one) endShowing(shows, one);
    void tidy.run(runId);
  };
  return {
    placeFor: (row) => placeFor(shows, row),
    taken: (runId) => void store.progress.drop(runId, 'message'),
    /** After the queue, so that the runs that go on at once are known: what stands there for others is taken away. */
    start() {
      store.signals.on('run:started', begin);
      store.signals.on('run:ended', end);
      store.signals.on('outbox:over', (runId) => void tidy.run(runId));
      store.signals.on('run:event', (runId) => {
        const one = shows.shown.get(runId);
        if (!one) return;
        one.isStale = true;
        plan(shows, one);
      });
      store.signals.on('channel', (name) => void tidy.channel(name));
      for (const { id } of store.runs.list('leased', 1_000)) begin(id);
      void tidy.all();
    },
    async stop() {
      isOver = true;
      const all = [...shows.shown.values()];
      for (const one of all) endShowing(shows, one);
      tidy.stop();
      await atMost(clock, EDIT_ON_ITS_WAY_MS, Promise.all(shows.ending.values()));
    },
  };
}

/** The channel of the chat, when it can show anything of this run. */
function channelFor({ channels }: ProgressDeps, { taskId, kind, dry }: Run, chat: Chat): Channel | undefined {
  // Nothing of a dry run is seen outside.
  if (dry || chat.progress === 'off' || (chat.progress === 'quiet' && (taskId !== null || kind === 'hook')))
    return undefined;
  return channels.get(chat.channel);
}

function beginShowing(shows: Shows, run: Run): void {
  const { store, clock, shown } = shows;
  const chat = store.groups.chat(run.chatId);
  const channel = chat && channelFor(shows, run, chat);
  if (!chat || !channel || shown.has(run.id)) return;
  const since = run.startedAt ?? clock.now();
  const one: Shown = {
    ...{ run, chat, since, progress: noProgress(), said: '', saidAt: 0, isStale: true, isGone: false },
    ...{ busy: Promise.resolve(), over: new AbortController(), timer: undefined },
  };
  shown.set(run.id, one);
  if (channel.react && run.kind === 'message') void reactSoon(shows, one);
  if (channel.edits) plan(shows, one);
}

function endShowing({ shown, ending }: Shows, one: Shown): void {
  one.over.abort();
  one.timer?.cancel();
  shown.delete(one.run.id);
  const ended = one.busy.finally(() => ending.delete(one.run.id));
  ending.set(one.run.id, ended);
}

/** One thing after the other for each run; what goes wrong is let go. */
function next(shows: Shows, one: Shown, work: () => Promise<unknown>): void {
  one.busy = one.busy
    .then(() => (one.over.signal.aborted ? undefined : work()))
    .catch((error: unknown) =>
      shows.log.debug({ runId: one.run.id, error: describeError(error) }, 'progress not shown'),
    );
}

async function reactSoon(shows: Shows, one: Shown): Promise<void> {
  const { store, clock } = shows;
  const { run, chat, over } = one;
  await clock.sleep(REACT_AFTER_MS, over.signal);
  next(shows, one, async () => {
    const asked = store.messages.askedBy(run.id);
    // One from before a restart stands there still.
    if (!asked || store.progress.get(run.id, 'reaction') || shows.channels.isBlocked(chat.channel)) return;
    // The row first: it names what is to be taken away, whether or not that got through.
    const { platformId, sender } = asked;
    store.progress.put({ runId: run.id, kind: 'reaction', chatId: chat.id, platformId, sender, at: clock.now() });
    await shows.channels.get(chat.channel)?.react?.(chat.address, asked, '👀');
  });
}

/** Sets the time of the next look at the run: when something is new, and the platform lets us. */
function plan(shows: Shows, one: Shown): void {
  const { clock, pauses } = shows;
  const edits = shows.channels.get(one.chat.channel)?.edits;
  if (!edits || one.isGone || one.over.signal.aborted) return;
  const first = one.since + (edits.silent ? SHOW_AFTER_MS : SHOW_LOUD_AFTER_MS);
  const wanted = one.said === '' ? first : one.saidAt + (one.isStale ? 0 : REFRESH_MS);
  one.timer?.cancel();
  one.timer = clock.at(Math.max(wanted, pauses.freeAt(one.chat), clock.now()), () => {
    one.timer = undefined;
    next(shows, one, () => show(shows, one));
  });
}

/** Brings the message up to date, or sends it. */
async function show(shows: Shows, one: Shown): Promise<void> {
  const { store, clock, channels, pauses, log } = shows;
  const { run } = one;
  const chat = store.groups.chat(one.chat.id) ?? one.chat;
  const channel = channelFor(shows, run, chat);
  const edits = channel?.edits;
  if (!channel || !edits || !pauses.take(chat, edits)) return plan(shows, one);
  if (channels.isBlocked(chat.channel)) {
    pauses.wait(chat, AWAY_MS);
    return plan(shows, one);
  }
  one.isStale = false;
  catchUp(store.events, run.id, one.progress);
  const text = progressText(one.progress, {
    elapsedMs: clock.now() - one.since,
    full: chat.progress === 'full',
    hasButton: channel.dropButtons !== undefined,
  });
  const buttons = [{ label: 'Stop', value: `stop:${run.id}` }];
  try {
    if (await say(shows, { one, chat, channel, text, buttons }))
      Object.assign(one, { said: text, saidAt: clock.now() });
  } catch (error) {
    const failure = error instanceof ChannelError ? error : undefined;
    log.debug({ runId: run.id, error: describeError(error) }, 'progress not shown');
    // Deleted by a person, say, or we are blocked there.
    if (!failure || failure.kind === 'permanent') one.isGone = true;
    else pauses.wait(chat, failure.retryAfterMs ?? AWAY_MS);
    if (one.isGone) store.progress.drop(run.id, 'message');
    one.isStale = true;
  }
  plan(shows, one);
}

interface Saying {
  one: Shown;
  chat: Chat;
  channel: Channel;
  text: string;
  buttons: { label: string; value: string }[];
}

async function say(shows: Shows, { one, chat, channel, text, buttons }: Saying): Promise<boolean> {
  const { store, clock } = shows;
  const { id: runId } = one.run;
  const { address, id: chatId } = chat;
  const before = store.progress.get(runId, 'message');
  // The row first: the message may be there although nobody hears that it was taken.
  if (!before) store.progress.put({ runId, kind: 'message', chatId, platformId: '', sender: '', at: clock.now() });
  const at = before?.at ?? clock.now();
  if (clock.now() - at > (channel.edits?.forMs ?? 0)) {
    one.isGone = true;
    return false;
  }
  const platformId = before && (await idOf(shows, { row: before, chat, channel }));
  if (platformId) await channel.edit?.({ address, platformId, text, buttons, passing: true });
  else {
    const sent = await channel.send({ address, text, buttons, silent: true, key: `progress.${runId}.${at}` });
    store.progress.sent(runId, sent.platformId);
  }
  return true;
}

/**
 * The message that is to become this answer: it notified people when it was sent, so the answer must not do so again. Not when the run goes on,
 * when somebody wrote since (the answer belongs below), or when the platform takes no edit any more.
 */
async function placeFor(shows: Shows, { runId, chatId, key }: OutboxRow): Promise<string | undefined> {
  const { store, clock, ending } = shows;
  const row = runId === null ? undefined : store.progress.get(runId, 'message');
  if (runId === null || !row?.platformId || row.chatId !== chatId || !key.startsWith(`${runId}:end:`)) return undefined;
  const edits = shows.channels.get(store.groups.chat(chatId)?.channel ?? '')?.edits;
  const isLate = clock.now() - row.at > (edits?.forMs ?? 0);
  if (!edits || edits.silent || isLate || store.runs.get(runId)?.state === 'leased') return undefined;
  const last = ending.get(runId) ?? Promise.resolve();
  if (
    !(await atMost(
      clock,
      EDIT_ON_ITS_WAY_MS,
      last.then(() => true),
    ))
  )
    return undefined;
  return (store.progress.newestIn(chatId) ?? 0) > row.afterId ? undefined : row.platformId;
}
