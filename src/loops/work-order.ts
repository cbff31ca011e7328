// Turns a claimed run into what the runner gets: its messages in order, media fetched into data/media, limits and names.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Channel, ChannelError } from '../channels/channel.js';
import type { Config } from '../config.js';
import { describeError } from '../errors.js';
import type { Store } from '../store/index.js';
import type { Run, StoredMedia, StoredMessage } from '../types.js';
import type { PromptMessage, RunSpec } from '../wire.js';

export interface WorkOrderDeps {
  store: Store;
  config: Pick<Config, 'assistantName' | 'model' | 'timeZone' | 'dataDir'>;
  channel(name: string): Channel | undefined;
}

/** Telegram's own limit for bots; larger files are named to the model, not fetched. */
const MAX_MEDIA_BYTES = 20 * 1024 * 1024;
const LIMITS = { maxTokens: 16_000, maxModelCalls: 50, wallClockMs: 15 * 60_000 };

export type WorkOrders = ReturnType<typeof createWorkOrders>;

export function createWorkOrders(deps: WorkOrderDeps) {
  const { store, config } = deps;
  const mediaFile = (messageId: number, index: number): string =>
    join(config.dataDir, 'media', `${messageId}-${index}`);

  async function fetchMedia(message: StoredMessage): Promise<StoredMedia[]> {
    if (message.media.every((media) => media.fetched || media.error)) return message.media;
    const chat = store.groups.chat(message.chatId);
    const channel = chat && deps.channel(chat.channel);
    await mkdir(join(config.dataDir, 'media'), { recursive: true, mode: 0o700 });
    const media = await Promise.all(
      message.media.map((item, index) =>
        item.fetched || item.error ? item : fetchOne(channel, item, mediaFile(message.id, index)),
      ),
    );
    store.messages.setMedia(message.id, media);
    return media;
  }

  /** Everything the run carries, oldest first, media at hand. */
  async function promptMessages(runId: number): Promise<PromptMessage[]> {
    const rows = store.messages.ofRun(runId);
    return Promise.all(rows.map(async (row) => toPromptMessage(row, await fetchMedia(row))));
  }

  return {
    mediaFile,
    promptMessages,
    async buildSpec(run: Run): Promise<RunSpec> {
      const group = store.groups.get(run.groupId);
      const chat = store.groups.chat(run.chatId);
      if (!group || !chat) throw new Error(`run ${run.id} has no group or chat`);
      return {
        id: run.id,
        attempt: run.attempt,
        kind: run.kind,
        session: run.session,
        group: { folder: group.folder, isMain: group.isMain },
        chat: { id: chat.id, channel: chat.channel, kind: chat.kind, title: chat.title },
        assistantName: config.assistantName,
        model: group.model ?? config.model,
        timeZone: config.timeZone,
        messages: await promptMessages(run.id),
        limits: LIMITS,
      };
    },
    /** The copies in data/media of a finished run; the group has its own in inbox/. */
    async dropMedia(runId: number): Promise<void> {
      for (const message of store.messages.ofRun(runId)) {
        await Promise.all(message.media.map((_, index) => rm(mediaFile(message.id, index), { force: true })));
      }
    },
  };
}

function toPromptMessage(row: StoredMessage, media: StoredMedia[]): PromptMessage {
  return {
    id: row.id,
    sender: row.senderName,
    sentAt: row.sentAt,
    text: row.text,
    ...(row.replyTo ? { replyTo: { sender: row.replyTo.sender, text: row.replyTo.text } } : {}),
    ...(row.edited ? { edited: true } : {}),
    media: media.map(({ kind, fileName, mimeType, sizeBytes, error }, index) => ({
      index,
      kind,
      fileName,
      mimeType,
      sizeBytes,
      ...(error === undefined ? {} : { error }),
    })),
  };
}

/** A file that cannot be had becomes a text for the model; it never holds the message back. */
async function fetchOne(channel: Channel | undefined, media: StoredMedia, file: string): Promise<StoredMedia> {
  try {
    if (!channel) throw new Error('its channel is switched off');
    const bytes = await channel.fetchMedia(media.ref, MAX_MEDIA_BYTES);
    await writeFile(`${file}.part`, bytes, { mode: 0o600 });
    await rename(`${file}.part`, file);
    return { ...media, sizeBytes: bytes.byteLength, fetched: true };
  } catch (error) {
    // While the channel cannot be reached the run waits for it; any other failure is told to the model.
    if (error instanceof ChannelError && error.kind === 'network') throw error;
    return { ...media, error: `could not be fetched: ${describeError(error)}` };
  }
}
