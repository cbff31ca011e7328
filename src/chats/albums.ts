// Pictures sent together are one question: where a part of an album goes, and how long its run waits for the rest. Knows the store; every part
// is a row before its platform is told, so a process that is killed in between loses none.
import type { InboundMessage } from '../channels/inbound-message.js';
import type { Chat } from '../core/types.js';
import { NEXT_PART_MS } from '../runs/rows.js';
import type { Store } from '../runs/store.js';
import { type Route, type RouteInput, standingOf } from './route.js';

/** Where it is known that parts are missing: people's lines are slow, and one may never come. */
const MISSING_PART_MS = 10_000;
/** Who corrects a message often does so twice. */
const NEXT_EDIT_MS = 1_500;

interface Routed {
  inbound: InboundMessage;
  chat: Chat;
  sender: RouteInput['sender'] & { id: number };
  route: Route;
}

/**
 * What a part does that nobody calls us in: it goes where the rest of its sender's album is worked on, or was because one part asked for it.
 * The name of an album is its sender's word, so only parts of one sender belong together.
 */
export function followAlbum({ messages }: Store, routed: Routed): { session: string; isAsked: boolean } | undefined {
  const { inbound, chat, sender, route } = routed;
  const isPart = inbound.album !== undefined && !inbound.edited && !inbound.contextOnly;
  if (!isPart || (route.kind !== 'context' && route.kind !== 'trigger')) return undefined;
  const rest = messages.albumRun(chat.id, inbound.album?.id ?? '', sender.id);
  if (!rest) return undefined;
  const { mayAsk } = standingOf({ sender, chat });
  // Who may no longer ask gets no new run.
  if (rest.asked && !rest.isOpen && !mayAsk) return undefined;
  return { session: rest.session, isAsked: route.kind === 'trigger' || (rest.asked && mayAsk) };
}

/** Until when a new run waits for more of the same; nothing where there is no reason to. */
export function settling({ messages }: Store, { inbound, chat, sender }: Routed, now: number): { settledAt?: number } {
  if (inbound.edited) return { settledAt: now + NEXT_EDIT_MS };
  if (!inbound.album) return {};
  const left = messages.albumLeft(chat.id, inbound.album.id, sender.id) ?? undefined;
  if (left === undefined) return { settledAt: now + NEXT_PART_MS };
  return { settledAt: left > 0 ? now + MISSING_PART_MS : now };
}
