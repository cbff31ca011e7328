// The calls of Discord's REST API that the channel makes, their answers checked. Knows nothing about the gateway or our messages.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type RateLimitData, REST } from '@discordjs/rest';
import { ChannelType, MessageFlags, Routes } from 'discord-api-types/v10';
import { z } from 'zod';
import type { OutboundPart } from './channel.js';
import { isGone, waitOf } from './discord-errors.js';
import { type DiscordMessage, discordMessage, nameOf, person } from './discord-inbound.js';

export interface DiscordSettings {
  token: string;
  /** Address of the REST API, without a version and without a slash at its end. */
  root: string;
}

export type DiscordApi = ReturnType<typeof createDiscordApi>;

const CALL_TIMEOUT_MS = 30_000;
const PAGE = 100;
/** Shorter limits are waited out within the call: a long answer meets them after every fifth part. */
const LONG_LIMIT_MS = 15_000;

const channel = z.object({
  id: z.string(),
  type: z.number(),
  name: z.string().nullish(),
  recipients: z.array(person).optional(),
});

/** Calls fail once `signal` is aborted. All throw the library's errors. */
export function createDiscordApi({ token, root }: DiscordSettings, signal: AbortSignal) {
  const client = new REST({
    api: root,
    // Whether and when to try again is for those who call.
    retries: 0,
    timeout: CALL_TIMEOUT_MS,
    rejectOnRateLimit: (limit: RateLimitData) => waitOf(limit) > LONG_LIMIT_MS,
  });
  // The library forgets a token that was refused once, even when Discord was only confused for a moment.
  const rest = () => client.setToken(token);
  // One of its own for each call: listeners on a shared one add up.
  const until = () => ({ signal: AbortSignal.any([signal]) });
  const messages = async (id: string, query: Record<string, string>): Promise<DiscordMessage[]> =>
    z
      .array(discordMessage)
      .parse(await rest().get(Routes.channelMessages(id), { query: new URLSearchParams(query), ...until() }));
  return {
    /** Where the gateway is. */
    async gateway(): Promise<string> {
      return z.object({ url: z.string() }).parse(await rest().get(Routes.gatewayBot(), until())).url;
    },
    async channel(id: string): Promise<{ kind: 'direct' | 'group'; title: string }> {
      const { type, name, recipients } = channel.parse(await rest().get(Routes.channel(id), until()));
      const other = recipients?.[0];
      if (type === ChannelType.DM) return { kind: 'direct', title: other ? nameOf(other) : 'Somebody' };
      return { kind: 'group', title: `#${name ?? id}` };
    },
    /** Every message of a channel after this id, oldest first. */
    async messagesAfter(id: string, after: bigint): Promise<DiscordMessage[]> {
      const found: DiscordMessage[] = [];
      for (let last = after; ; ) {
        const page = await messages(id, { after: String(last), limit: String(PAGE) });
        page.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
        found.push(...page);
        if (page.length < PAGE) return found;
        last = BigInt(page.at(-1)?.id ?? last);
      }
    },
    async message(channelId: string, id: string): Promise<DiscordMessage> {
      return discordMessage.parse(await rest().get(Routes.channelMessage(channelId, id), until()));
    },
    /** Resolves with the new message's id. Within some minutes the same key is the same message (`enforce_nonce`). */
    async post({ address, text, file, key, silent, replyTo }: OutboundPart): Promise<string> {
      const body = {
        content: text,
        // At most 25 characters.
        nonce: createHash('sha256').update(`pinch ${address} ${key}`).digest('base64url').slice(0, 25),
        enforce_nonce: true,
        // No text can call a person, a role or everyone.
        allowed_mentions: { parse: [] },
        flags: MessageFlags.SuppressEmbeds | (silent ? MessageFlags.SuppressNotifications : 0),
        ...(replyTo && { message_reference: { message_id: replyTo.platformId, fail_if_not_exists: false } }),
      };
      const files = file ? [{ name: file.fileName, contentType: file.mimeType, data: await readFile(file.path) }] : [];
      const answer = await rest().post(Routes.channelMessages(address), { body, files, ...until() });
      return z.object({ id: z.string() }).parse(answer).id;
    },
    async edit(address: string, id: string, text: string): Promise<string> {
      const body = { content: text, allowed_mentions: { parse: [] } };
      await rest().patch(Routes.channelMessage(address, id), { body, ...until() });
      return id;
    },
    async remove(address: string, id: string): Promise<string> {
      await rest()
        .delete(Routes.channelMessage(address, id), until())
        .catch((error: unknown) => {
          if (!isGone(error)) throw error;
        });
      return id;
    },
    async typing(id: string): Promise<void> {
      await rest().post(Routes.channelTyping(id), until());
    },
  };
}
