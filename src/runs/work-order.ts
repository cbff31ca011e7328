// Turns a claimed run into what the runner gets: its messages in order, media fetched into data/media, limits and names.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Channel, ChannelError } from '../channels/channel.js';
import { type Begun, unwatched } from '../core/begun.js';
import type { Config, Env } from '../core/config.js';
import { describeError } from '../core/errors.js';
import type { Group, Run, StoredMedia, StoredMessage } from '../core/types.js';
import type { Fallback } from '../model/fallback.js';
import type { OwnSkill, PromptMessage, RunSpec } from '../wire.js';
import { DRY_NOTE, withPrompt } from './replay.js';
import { isCompaction, type TaskRunInput } from './run-input.js';
import type { Store } from './store.js';
import { unattendedNote } from './unattended.js';

export interface WorkOrderDeps {
  store: Store;
  config: Pick<Config, 'assistantName' | 'timeZone' | 'dataDir' | 'env'>;
  fallback: Pick<Fallback, 'choose'>;
  windowOf(model: string): Promise<RunSpec['window']>;
  channel(name: string): Channel | undefined;
  readers: Record<string, MediaReader>;
  /** Knows at the next start which run was put together, or which file was read, when Pinch ended. */
  begun?: Begun;
  /** Skills of a group that count. */
  ownSkills(groupId: number): OwnSkill[];
  skillsLeftOut(groupId: number): boolean;
  services(groupId: number): RunSpec['services'];
  search(groupId: number): RunSpec['search'];
  mcp(groupId: number): RunSpec['mcp'];
  /** Throws when no file may be written for this group. */
  checkRoom(groupId: number): void;
  /** What an agent of the group must know before it works. */
  diskNote(groupId: number): string | undefined;
}

/**
 * What a program makes of a file that was just fetched: a `transcript`, a `note` where it should have made one and could not, nothing where the
 * file is not for it. Never rejects, and takes a few minutes at most: the run waits. The file comes from strangers.
 */
export type MediaReader = (file: string, media: StoredMedia, env: Env) => Promise<Partial<StoredMedia>>;

/** Telegram's own limit for bots; larger files are named to the model, not fetched. */
const MAX_MEDIA_BYTES = 20 * 1024 * 1024;
/** So many messages have their files with them, the newest; so many files are fetched at the same time. */
const MAX_WITH_MEDIA = 10;
const FETCHED_AT_ONCE = 2;
const LIMITS = { maxTokens: 16_000, maxModelCalls: 50, wallClockMs: 15 * 60_000 };

export type WorkOrders = ReturnType<typeof createWorkOrders>;

export function createWorkOrders({
  store,
  config,
  channel,
  readers,
  checkRoom,
  begun = unwatched,
  ...deps
}: WorkOrderDeps) {
  const { fallback, windowOf, ownSkills, skillsLeftOut, services, search, mcp } = deps;
  const { mediaFile, filesOf, drop } = createMedia({ store, config, channel, readers, checkRoom, begun });

  /** Everything the run carries, oldest first, media at hand. Throws ChannelError `network` while they cannot be had. */
  async function promptMessages(runId: number): Promise<PromptMessage[]> {
    const rows = store.messages.ofRun(runId);
    const leftOut = new Map(store.runs.leftOut(runId).map((row) => [row.messageId, row.leftOut]));
    const files = await filesOf(rows);
    return begun.guarded(puttingTogether(runId), () =>
      rows.map((row) => ({
        ...toPromptMessage(store, row, files.get(row.id) ?? []),
        ...togetherWith(rows, row),
        ...(leftOut.has(row.id) && { leftOut: leftOut.get(row.id) }),
      })),
    );
  }

  return {
    mediaFile,
    promptMessages,
    async buildSpec(run: Run, group: Group): Promise<RunSpec> {
      const chat = store.groups.chat(run.chatId);
      if (!chat) throw new Error(`run ${run.id} has no chat`);
      const input = store.runs.input(run.id);
      const model = run.model ?? store.groupModels.of(group.id) ?? fallback.choose(run.id);
      return {
        id: run.id,
        attempt: run.attempt,
        session: run.session,
        group: { folder: group.folder, isMain: group.isMain },
        chat: { title: chat.title },
        assistantName: config.assistantName,
        model,
        window: await windowOf(model),
        timeZone: config.timeZone,
        ownSkills: ownSkills(group.id),
        ...(skillsLeftOut(group.id) && { skillsLeftOut: true }),
        services: services(group.id),
        search: search(group.id),
        mcp: mcp(group.id),
        messages: [
          ...withPrompt(input ? [taskMessage(run, input)] : await promptMessages(run.id), run.prompt),
          ...hostNote(run, deps.diskNote(group.id)),
        ],
        ...(isCompaction(run) && { compact: true as const }),
        limits: { ...LIMITS, ...(input?.timeoutMs && { wallClockMs: input.timeoutMs }) },
        ...unattended(run, input, config.timeZone),
      };
    },
    /** The copies in data/media of a finished run; the group has its own in inbox/. */
    async dropMedia(runId: number): Promise<void> {
      for (const message of store.messages.ofRun(runId)) await drop(message);
    },
  };
}

/** Nobody is there to answer in a dry run either. */
function unattended(run: Run, input: TaskRunInput | undefined, timeZone: string): Pick<RunSpec, 'unattended'> {
  const notes = [...(run.dry ? [DRY_NOTE] : []), ...(input ? [unattendedNote(input, timeZone)] : [])];
  return notes.length > 0 ? { unattended: { note: notes.join('\n'), check: input?.check } } : {};
}

/** What a start knows it by that comes after an end in the middle of it. */
export const puttingTogether = (runId: number): string => `run-messages ${runId}`;

/** Copies in data/media of what people sent. */
function createMedia({
  store,
  config,
  channel,
  readers,
  checkRoom,
  begun,
}: Pick<WorkOrderDeps, 'store' | 'config' | 'channel' | 'readers' | 'checkRoom'> & { begun: Begun }) {
  const folder = join(config.dataDir, 'media');
  const mediaFile = (messageId: number, index: number): string => join(folder, `${messageId}-${index}`);
  const fetching = new Map<number, Promise<StoredMedia[]>>();

  /** Two who ask at the same time (a run and what steers it) share one fetch. */
  function fetchMedia(message: StoredMessage): Promise<StoredMedia[]> {
    const fetched = fetching.get(message.id) ?? fetchMissing(message).finally(() => fetching.delete(message.id));
    fetching.set(message.id, fetched);
    return fetched;
  }

  async function fetchMissing({ id, chatId, media }: StoredMessage): Promise<StoredMedia[]> {
    // A row that says `fetched` is not enough: the copies of a finished run are removed, and a replay needs them again.
    const atHand = (item: StoredMedia, at: number) => item.error || (item.fetched && existsSync(mediaFile(id, at)));
    if (media.every(atHand)) return media;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const by = { channel: channel(store.groups.chat(chatId)?.channel ?? ''), readers, env: config.env };
    const fetched: StoredMedia[] = [];
    for (const [at, item] of media.entries()) {
      const name = `file ${id}-${at}`;
      if (atHand(item, at)) fetched.push(item);
      else if (begun.isSetAside(name))
        fetched.push({ ...item, error: 'Pinch ended twice while it was fetched and read' });
      else fetched.push(await begun.attempt(name, () => fetchOne(by, item, mediaFile(id, at))));
    }
    store.messages.setMedia(id, fetched);
    return fetched;
  }

  /** What has no room now may have it in a later run: not kept with the message. */
  async function fetchOrSay(message: StoredMessage): Promise<StoredMedia[]> {
    const groupId = store.groups.chat(message.chatId)?.groupId ?? null;
    try {
      if (groupId !== null && message.media.length > 0) checkRoom(groupId);
    } catch (full) {
      return message.media.map((media) => ({ error: describeError(full), ...media }));
    }
    return fetchMedia(message);
  }

  return {
    mediaFile,
    /** By message, what there is of its files: those of the newest are fetched. Rejects while they cannot be had. */
    async filesOf(rows: StoredMessage[]): Promise<Map<number, StoredMedia[]>> {
      const wanted = withNewestMedia(rows);
      const files = new Map<number, StoredMedia[]>();
      const left = rows.values();
      const fetchSome = async (): Promise<void> => {
        for (const row of left)
          files.set(row.id, wanted.has(row.id) ? await fetchOrSay(row) : row.media.map(notFetched));
      };
      await Promise.all(Array.from({ length: FETCHED_AT_ONCE }, fetchSome));
      return files;
    },
    async drop({ id, media }: StoredMessage): Promise<void> {
      await Promise.all(media.map((_, index) => rm(mediaFile(id, index), { force: true })));
    },
  };
}

/** Not a row, because nobody wrote it in the chat. Its id is minus the run's, which no message has. */
function taskMessage({ id }: Run, { taskId, prompt: text, slotAt: sentAt, untrusted }: TaskRunInput): PromptMessage {
  return { id: -id, sender: `Task ${taskId}`, role: 'task', sentAt, text, media: [], ...(untrusted && { untrusted }) };
}

/** Below those of tasks' messages. */
const HOST_NOTES = -1e12;

/** What Pinch itself tells the run about the machine, once: in no chat, so it has no row. */
export function hostNote({ id, createdAt: sentAt }: Run, text: string | undefined): PromptMessage[] {
  return text === undefined ? [] : [{ id: HOST_NOTES - id, sender: 'Pinch', role: 'host', sentAt, text, media: [] }];
}

/** The newest messages with files; an album counts as one, however many pictures it has. */
function withNewestMedia(rows: StoredMessage[]): Set<number> {
  const units = new Set<string>();
  const newest = rows.toReversed().filter(({ id, album, senderId, media }) => {
    if (media.length > 0) units.add(album === null ? `${id}` : `${senderId} ${album}`);
    return media.length > 0 && units.size <= MAX_WITH_MEDIA;
  });
  return new Set(newest.map(({ id }) => id));
}

const notFetched = (media: StoredMedia): StoredMedia => ({
  error: `only the files of the newest ${MAX_WITH_MEDIA} messages come along: ask for it again if you need it`,
  ...media,
});

/** An album has the number of the first of its messages in the run. */
function togetherWith(rows: StoredMessage[], { album, senderId }: StoredMessage): Pick<PromptMessage, 'album'> {
  const first = album !== null && rows.find((row) => row.album === album && row.senderId === senderId);
  return first ? { album: first.id } : {};
}

function toPromptMessage(store: Store, row: StoredMessage, media: StoredMedia[]): PromptMessage {
  const { id, senderName: sender, senderId, mayAsk, sentAt, text, edited, forwarded } = row;
  const role = row.byHost ? ('host' as const) : row.role;
  // The channel's own handle of a file stays on the host.
  const files = media.map(({ ref: _, fetched: __, ...file }, index) => ({ ...file, index }));
  const who = { sender, mayAsk, ...(senderId !== null && { senderId }), ...(role && { role }) };
  const version = { edited, ...(row.replaces !== null && { replaces: row.replaces }) };
  return { id, ...who, sentAt, text, ...version, forwarded, replyTo: quoteOf(store, row), media: files };
}

const MAX_QUOTE_CHARS = 500;

/** Our own row of what is answered, where there is one; else what the quote claims, marked as that. */
function quoteOf({ messages }: Store, { chatId, replyTo }: StoredMessage): PromptMessage['replyTo'] {
  if (!replyTo) return undefined;
  const { platformId, sender, text: claimed } = replyTo;
  const row = messages.sent(chatId, platformId) ?? messages.find(chatId, platformId);
  if (!row) return { sender, text: claimed, unverified: true };
  const characters = [...row.text];
  const isLong = characters.length > MAX_QUOTE_CHARS;
  const text = isLong ? `${characters.slice(0, MAX_QUOTE_CHARS).join('')}…` : row.text || '[media]';
  const role = row.direction === 'out' ? 'assistant' : row.role;
  const isPart = claimed !== '' && claimed !== row.text && !row.text.startsWith(claimed.replace(/…$/, ''));
  const part = isPart && row.text.includes(claimed) ? { part: claimed } : {};
  const untrusted = (row.forwarded || !row.mayAsk) && { untrusted: true };
  return { sender: row.senderName, text, ...(role && { role }), ...part, ...untrusted };
}

type FetchedBy = { channel: Channel | undefined; readers: Record<string, MediaReader>; env: Env };

/** A file that cannot be had becomes a text for the model; it never holds the message back. */
async function fetchOne({ channel, readers, env }: FetchedBy, media: StoredMedia, file: string): Promise<StoredMedia> {
  try {
    if (!channel) throw new Error('its channel is switched off');
    const bytes = await channel.fetchMedia(media.ref, MAX_MEDIA_BYTES);
    await writeFile(`${file}.part`, bytes, { mode: 0o600 });
    await rename(`${file}.part`, file);
    const fetched = { ...media, sizeBytes: bytes.byteLength, fetched: true };
    for (const read of Object.values(readers)) Object.assign(fetched, await read(file, fetched, env));
    return fetched;
  } catch (error) {
    // While the channel cannot be reached the run waits for it; any other failure is told to the model.
    if (error instanceof ChannelError && error.kind === 'network') throw error;
    return { ...media, error: `could not be fetched: ${describeError(error)}` };
  }
}
