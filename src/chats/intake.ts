// Inbound: one transaction per message stores it, routes it and enqueues its run, before the platform is acknowledged.
// Knows the store and the pure rules; never a container, never the network.
import { randomUUID } from 'node:crypto';
import type { Button, Menu } from '../channels/channel.js';
import { checkInbound, type InboundMessage } from '../channels/inbound-message.js';
import type { BaseDeps } from '../core/deps.js';
import type { TakeIn } from '../core/set-aside.js';
import { type Chat, sessionName } from '../core/types.js';
import type { ChatCommand, CommandCall } from '../groups/chat-command.js';
import { forumOf } from '../groups/forums.js';
import type { StoredVersion } from '../groups/messages.js';
import type { OnPress } from '../groups/press.js';
import { WEB_CHAT } from '../groups/web-chat.js';
import type { HeldBack } from '../runs/held-back.js';
import { startOrSteer } from '../runs/start-or-steer.js';
import type { Store } from '../tasks/store.js';
import { followAlbum, settling } from './albums.js';
import type { RegisterAsker } from './ask-register.js';
import { helpText, menuOf } from './commands.js';
import { releaseFormerOwners } from './former-owners.js';
import type { Pairing } from './pairing.js';
import { takePress } from './press.js';
import { decideRoute, type Route, type Speaker, standingOf } from './route.js';
import { type Stored, storeEdit } from './store-edit.js';
import { commandName } from './wrong-command.js';

export interface IntakeDeps extends BaseDeps {
  store: Store;
  pairing: Pairing;
  assistantName: string;
  askToRegister: Pick<RegisterAsker, 'forCall'>;
  /** Sets aside what cannot be taken in. */
  takeIn?: TakeIn;
  /** Without `/help`, which is made here because it lists the others. */
  commands: ChatCommand[];
  owner: { channel: string; address: string } | undefined;
  /** Who answers presses; without it, and for what it does not answer, a press is a choice of a question or nothing. */
  onPress?: OnPress;
  onStalePress?: OnPress;
  /** Why nothing is started in a chat, in one line for whoever writes there; the same key until that changes. */
  heldBack?: HeldBack['notice'];
  /** Somebody became the owner on this channel. */
  onPaired?(channel: string): void;
}

/** The row the message became, if it is new and kept, and the run that takes it. */
export type Received = { messageId?: number; runId?: number | undefined };

export function createIntake(given: IntakeDeps) {
  const deps = { ...given, commands: withHelp(given) };
  const { store } = deps;

  /** Commits the message. Safe to call twice with the same one. Throws only when the store cannot commit. */
  function receive(channel: string, message: InboundMessage): Received {
    const checked = checkInbound(message, deps.clock.now());
    if (!checked) {
      deps.log.error({ channel }, 'a message that belongs nowhere was skipped');
      return {};
    }
    const { takeIn = (_, work) => work() } = deps;
    const name = `message ${channel} ${checked.chat.address} ${checked.platformId}`;
    return takeIn({ name, raw: checked }, () => take(channel, checked)) ?? {};
  }

  function take(channel: string, checked: InboundMessage): Received {
    return store.transaction(() => {
      const inbound = inItsTopic(deps, channel, checked);
      const seen = recordPeople(deps, channel, inbound);
      const pressed = takePress(deps, { inbound, ...seen });
      if (pressed) return apply(deps, { channel, ...seen, ...pressed });
      const addressesAssistant = inbound.addressesAssistant || answersUs(deps, seen.chat, inbound);
      const { assistantName, commands } = deps;
      const route = decideRoute({ ...inbound, ...seen, addressesAssistant, assistantName, commands });
      deps.log.debug({ channel, chatId: seen.chat.id, route: route.kind }, 'message routed');
      return apply(deps, { channel, inbound, ...seen, route });
    });
  }

  return {
    receive,
    /** What a channel's menu offers: to everybody, and to the owner in their direct chats there. */
    menu(channel: string): Menu {
      const main = store.groups.ensure('main', true, deps.clock.now());
      const mine = store.groups.chatsOf(main.id).filter((chat) => chat.channel === channel && chat.kind === 'direct');
      return menuOf(deps.commands, [...new Set(mine.map(({ address }) => forumOf(address)))]);
    },
    /** A message typed on the local page, or a button pressed there; `platformId` makes a repeated POST harmless. */
    receiveFromPage: (
      text: string,
      platformId: string = randomUUID(),
      { press, media = [] }: Partial<Pick<InboundMessage, 'press' | 'media'>> = {},
    ): Received =>
      receive(WEB_CHAT.channel, {
        chat: WEB_CHAT,
        sender: { address: WEB_CHAT.address, name: 'Owner' },
        platformId,
        text,
        ...(press && { press }),
        sentAt: deps.clock.now(),
        addressesAssistant: true,
        forwarded: false,
        edited: false,
        media,
      }),
    chatMoved: (channel: string, from: string, to: string): void =>
      store.transaction(() => store.groups.moveChat(channel, from, to)),
  };
}

function withHelp({ assistantName, commands }: IntakeDeps): ChatCommand[] {
  const answer = ({ byOwner, argument }: Pick<CommandCall, 'byOwner' | 'argument'>): string => {
    const mine = byOwner ? all : all.flatMap(forMember);
    const [one] = mine.filter((command) => commandName(command) === `/${argument.toLowerCase().replace(/^\//, '')}`);
    return one ? `\`${one.usage}\` — ${one.what}` : helpText(assistantName, mine);
  };
  const all: ChatCommand[] = [
    { usage: '/help', what: 'this list; with a command: what it does', forMembers: true, answer },
    ...commands,
  ];
  return all;
}

/** As somebody who is not the owner may use it. */
const forMember = (command: ChatCommand): ChatCommand[] =>
  command.forMembers === 'bare' ? [{ ...command, usage: commandName(command) }] : command.forMembers ? [command] : [];

export type Intake = ReturnType<typeof createIntake>;

/** By our own row: what a quote says about itself is its sender's word. */
const answersUs = ({ store }: IntakeDeps, { id }: Chat, { replyTo }: InboundMessage): boolean =>
  replyTo !== undefined && store.messages.sent(id, replyTo.platformId) !== undefined;

/** A platform may say which message was pressed or got a reaction, but not in which topic it stands. */
function inItsTopic({ store }: IntakeDeps, channel: string, inbound: InboundMessage): InboundMessage {
  const { chat, press } = inbound;
  const topic = press && store.groups.topicWith(channel, chat.address, press.platformId);
  return topic ? { ...inbound, chat: { ...chat, address: topic.address, title: topic.title } } : inbound;
}

interface Seen {
  chat: Chat;
  sender: Speaker & { id: number };
}

function recordPeople(deps: IntakeDeps, channel: string, inbound: InboundMessage): Seen {
  const { store } = deps;
  const now = deps.clock.now();
  const { address, alias = address, name } = inbound.sender;
  const username = inbound.sender.username ?? null;
  let chat = store.groups.seenChat({ channel, ...inbound.chat, now });
  const row = store.groups.seenSender({ channel, address, name, username, chatId: chat.id });
  const isNamed = deps.owner?.channel === channel && [address, alias].includes(deps.owner.address);
  // Paired by the number, say, and here known by the other id that the platform vouches for.
  const isPaired = row.isOwner || (alias !== address && store.groups.isOwner(channel, alias));
  const isOwner = !inbound.sender.isNameOnly && (isPaired || channel === WEB_CHAT.channel || isNamed);
  if (isOwner && chat.kind === 'direct' && chat.groupId === null) {
    const main = store.groups.ensure('main', true, now);
    const paired = row.isOwner ? address : alias;
    // Whoever has the page's token is the owner, whoever the settings name.
    if (channel === WEB_CHAT.channel) store.groups.assignChat(chat.id, main.id);
    else store.groups.assignOwnerChat(chat.id, main.id, isPaired ? paired : (deps.owner?.address ?? address));
    chat = { ...chat, groupId: main.id };
  }
  return { chat, sender: { ...inbound.sender, id: row.id, username, isOwner } };
}

interface Routed extends Seen {
  channel: string;
  inbound: InboundMessage;
  route: Route;
  outboxId?: number | null;
}

function apply(deps: IntakeDeps, routed: Routed): Received {
  const { route, chat, inbound } = routed;
  if (route.kind === 'ignore') return {};
  if (route.kind === 'stranger') {
    deps.askToRegister.forCall(chat, routed.sender.name, inbound.text);
    return {};
  }
  if (route.kind === 'pair') return pair(deps, routed, route.code);
  if (route.kind === 'opened') return tellHowToPair(deps, routed);
  const { messageId, starts, session: known } = storeMessage(deps, routed);
  if (messageId === undefined) return {};
  deps.store.signal('message', chat.id);
  if (route.kind === 'command') {
    const call = {
      argument: route.argument,
      chat,
      messageId,
      byOwner: routed.sender.isOwner,
      senderId: routed.sender.id,
    };
    const { command } = route;
    say(deps, chat.id, `command:${messageId}`, command.answer(call), command.buttons?.(call));
  }
  if (route.kind === 'pressed') say(deps, chat.id, `press:${chat.id}:${inbound.platformId}`, route.answer);
  if (!starts) return { messageId, runId: undefined };
  const quoted = inbound.replyTo?.platformId ?? null;
  const session = known ?? deps.store.messages.answeredSession(chat.id, messageId, quoted) ?? sessionName(chat);
  const due = settling(deps.store, routed, deps.clock.now());
  const runId = startOrSteer(deps, { chat, session, messageId, ...due });
  const held = deps.heldBack?.(chat, routed.sender.isOwner);
  if (held) say(deps, chat.id, held.key, held.text, held.buttons);
  return { messageId, runId };
}

function say(deps: IntakeDeps, chatId: number, key: string, text: string, buttons: Button[] = []): void {
  const below = buttons.length > 0 && { buttons };
  deps.store.outbox.add({ key, chatId, runId: null, text, ...below, now: deps.clock.now() });
}

function storeMessage(deps: IntakeDeps, routed: Routed): Stored {
  const { inbound, chat, sender, route } = routed;
  const { messages } = deps.store;
  const album = followAlbum(deps.store, routed);
  const row = {
    ...inbound,
    chatId: chat.id,
    direction: 'in' as const,
    senderId: sender.id,
    senderName: sender.name,
    ...standingOf(routed),
    edited: false,
    now: deps.clock.now(),
    command: route.kind === 'command' || route.kind === 'pressed',
    outboxId: routed.outboxId ?? null,
    intent: album?.isAsked ? ('asked' as const) : intentOf(routed),
    album: inbound.album?.id ?? null,
    albumSize: inbound.album?.size ?? null,
  };
  const before = inbound.edited ? messages.find(chat.id, inbound.platformId) : undefined;
  if (before) return storeEdit(deps, routed, { row, before });
  const starts = album !== undefined || route.kind === 'trigger';
  return { messageId: messages.add(row), starts, session: album?.session };
}

function intentOf({ route, inbound }: Routed): StoredVersion['intent'] {
  if (route.kind === 'trigger' || route.kind === 'command') return 'asked';
  return inbound.press || route.kind === 'pressed' ? 'reacted' : 'said';
}

/** Only while nobody is the owner there, and a stranger learns no more than that: once an hour in a chat. */
function tellHowToPair({ pairing, store, clock }: IntakeDeps, { channel, chat }: Routed): Received {
  const now = clock.now();
  if (!pairing.mayTellHow(channel, now)) return {};
  const key = `how-to-pair:${chat.id}:${Math.floor(now / 3_600_000)}`;
  store.outbox.add({ key, chatId: chat.id, runId: null, text: HOW_TO_PAIR, now });
  return {};
}

const HOW_TO_PAIR =
  'I have no owner here yet. If it is you: on the machine where I run, `npm run -s pinch -- pair` shows a link that opens this chat, and the code for `/pair <code>`.';

/** Wrong codes get no answer: to a stranger the assistant does not exist. */
function pair(deps: IntakeDeps, routed: Routed, code: string): Received {
  const { channel, chat, sender } = routed;
  const now = deps.clock.now();
  const outcome = deps.pairing.redeem({ channel, sender: sender.address, code, now });
  if (outcome === 'limited') deps.log.warn({ channel }, 'too many wrong pairing codes, try again in an hour');
  const platformId = routed.inbound.platformId;
  if (outcome !== 'paired' && sender.isOwner)
    say(deps, chat.id, `pair:${chat.id}:${platformId}`, 'You are my owner here already.');
  if (outcome !== 'paired') return {};
  const main = deps.store.groups.ensure('main', true, now);
  deps.store.groups.makeOwner(channel, sender.address);
  deps.store.groups.assignOwnerChat(chat.id, main.id, sender.address);
  releaseFormerOwners(deps);
  deps.log.info({ channel }, 'owner paired');
  deps.store.afterCommit(() => deps.onPaired?.(channel));
  const text = `You are my owner now. ${helpText(deps.assistantName, deps.commands)}`;
  say(deps, chat.id, `paired:${chat.id}:${now}`, text);
  return {};
}
