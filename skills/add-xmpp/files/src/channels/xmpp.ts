// The XMPP channel: one account, direct chats and rooms. What came is always read from the server's archive behind a cursor, which moves
// only after a message was committed; a message that arrives is just the sign to look. What messages mean is in xmpp-inbound.ts.
import { randomUUID } from 'node:crypto';
import { xml } from '@xmpp/client';
import { z } from 'zod';
import { splitMarkdown } from '../markdown/split.js';
import {
  type Channel,
  type ChannelDeps,
  ChannelError,
  defineChannel,
  type InboundMessage,
  type OutboundPart,
} from './channel.js';
import { type Connection, createConnection, storeReceived } from './connection.js';
import { type Archived, hasArchive, keepEverything, type Page, readArchive } from './xmpp-archive.js';
import { conditionOf, setupProblem, toChannelError } from './xmpp-errors.js';
import { download, upload } from './xmpp-files.js';
import { type Place, type Room, toMessage } from './xmpp-inbound.js';
import { enterRooms, type Rooms } from './xmpp-rooms.js';
import { composing, findSent, idOf, type Outgoing, pingServer, sendOnce, toBody } from './xmpp-send.js';
import { type XmppSettings, xmppEnv } from './xmpp-settings.js';
import { openStream, type Stream } from './xmpp-stream.js';

/** On when XMPP_ADDRESS is set. Rooms are entered when XMPP_ROOMS names them. */
export const xmpp = defineChannel({
  name: 'xmpp',
  env: xmppEnv,
  create: (settings, deps) => settings && createXmpp(settings, deps),
});

/** RFC 6120 section 13.12 lets a server refuse stanzas of more than 10,000 bytes; some of it is ours. */
const MAX_BODY_BYTES = 8_000;
const PAGE = 50;
/** Servers and rooms can lose us without a word. */
const CHECK_MS = 300_000;
const KEEP_SENT_MS = 7 * 86_400_000;
/** Before the last message that was handled, when its place in the archive is gone. */
const OVERLAP_MS = 3_600_000;

interface Session {
  stream: Stream;
  rooms: Rooms;
}

interface Xmpp {
  settings: XmppSettings;
  deps: ChannelDeps;
  connection: Connection;
  /** While connected. */
  session: Session | undefined;
}

function createXmpp(settings: XmppSettings, deps: ChannelDeps): Channel {
  const connection = createConnection(deps, toChannelError);
  const xmpp: Xmpp = { settings, deps, connection, session: undefined };
  return {
    start: () => connection.start((opened) => receive(xmpp, opened)),
    stop: connection.stop,
    split: (text) => splitMarkdown(text, { limit: MAX_BODY_BYTES, measure }),
    send: (part) => connection.send(() => send(xmpp, part)),
    kindOf: (address) => (settings.rooms.includes(address) ? 'group' : 'direct'),
    typing(address) {
      const isRoom = settings.rooms.includes(address);
      xmpp.session?.stream.send(composing(address, isRoom)).catch(() => deps.log.debug('xmpp typing not shown'));
    },
    async fetchMedia(ref, maxBytes) {
      return download(ref, maxBytes, { isLoopback: settings.isLoopback, signal: connection.receiving });
    },
  };
}

/** Bytes on the wire, at most. */
const measure = (part: string) => Buffer.byteLength(toBody(part).replace(/[&<>"']/g, '&quot;'));

/** One connection from its start to its end, which is always an error. */
async function receive(xmpp: Xmpp, opened: (account: string) => void): Promise<void> {
  const { deps, settings, connection } = xmpp;
  const stream = await openStream(settings, deps.clock, connection.sending);
  try {
    xmpp.session = { stream, rooms: await prepare(stream, settings, deps.assistantName) };
    await converse(xmpp, xmpp.session, opened);
    // Sends may still be under way on it.
    await stream.lost;
  } finally {
    stream.close();
    xmpp.session = undefined;
  }
}

/** Takes what comes until receiving ends. Throws when the connection is lost. */
async function converse(xmpp: Xmpp, { stream, rooms }: Session, opened: (account: string) => void): Promise<void> {
  const { receiving } = xmpp.connection;
  let hasNew = true;
  let tell = (): void => undefined;
  const wake = (): void => {
    hasNew = true;
    tell();
  };
  stream.listen((stanza) => {
    // Signs of typing and pages of the archive are messages, too.
    if (stanza.getChild('body') || stanza.getChild('x', 'jabber:x:oob')) wake();
  });
  receiving.addEventListener('abort', wake);
  stream.lost.catch(() => receiving.removeEventListener('abort', wake));
  while (!receiving.aborted) {
    hasNew = false;
    await takeNew(xmpp, stream);
    for (const room of rooms.joined) await takeNew(xmpp, stream, room);
    opened([xmpp.settings.address, ...rooms.problems].join('; '));
    const told = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const woken = new AbortController();
    if (!hasNew) await Promise.race([told, stream.lost, rooms.left, check(xmpp, { stream, rooms }, woken.signal)]);
    woken.abort();
  }
}

/** Resolves after a while, when we are still connected and in all rooms. */
async function check({ deps, settings }: Xmpp, { stream, rooms }: Session, signal: AbortSignal): Promise<void> {
  await deps.clock.sleep(CHECK_MS, signal);
  if (signal.aborted) return;
  await pingServer(stream, settings.domain);
  await rooms.check();
}

/** Everything is kept, we are seen and in our rooms. */
async function prepare(stream: Stream, { address, rooms }: XmppSettings, nick: string): Promise<Rooms> {
  if (!(await hasArchive(stream, address)))
    throw setupProblem('the XMPP server keeps no archive (XEP-0313): switch it on there, or use another server');
  await keepEverything(stream);
  await stream.send(xml('presence'));
  return enterRooms(stream, rooms, nick);
}

const cursorRow = z.object({ id: z.string().optional(), at: z.number() });
type Cursor = z.infer<typeof cursorRow>;

/** Reads on behind the cursor of an archive. Throws when the store refuses a message: it must come again, before those behind it. */
async function takeNew({ deps, settings, connection }: Xmpp, stream: Stream, room?: Room): Promise<void> {
  const { storage, clock } = deps;
  const name = room?.address ?? 'own';
  const save = (id: string | undefined, at: number) => {
    const value: Cursor = { ...(id !== undefined && { id }), at };
    storage.set([{ kind: 'cursor', id: name, value: JSON.stringify(value) }]);
  };
  const row = storage.get('cursor', [name])[name];
  if (row === undefined) {
    // What was said before we first looked is nobody's question.
    const { items } = await readArchive(stream, settings.address, { room: room?.address, newest: true, max: 1 });
    return save(items.at(-1)?.id, clock.now());
  }
  let cursor = cursorRow.parse(JSON.parse(row));
  const place: Place = { own: settings.address, assistantName: deps.assistantName, room };
  for (;;) {
    const page = await readOn(stream, settings.address, room, cursor);
    for (const archived of page.items) {
      if (connection.receiving.aborted) return;
      take(deps, archived, place);
      cursor = { id: archived.id, at: archived.sentAt || clock.now() };
      save(cursor.id, cursor.at);
    }
    if (page.isLast || page.items.length === 0) return;
  }
}

/** An archive forgets; then time says where to go on, and what is stored already is known by its id. */
async function readOn(stream: Stream, own: string, room: Room | undefined, { id, at }: Cursor): Promise<Page> {
  const where = { room: room?.address, max: PAGE };
  try {
    return await readArchive(stream, own, { ...where, after: id });
  } catch (error) {
    if (conditionOf(error) !== 'item-not-found') throw error;
    return readArchive(stream, own, { ...where, start: at - OVERLAP_MS });
  }
}

function take(deps: ChannelDeps, archived: Archived, place: Place): void {
  let message: InboundMessage | undefined;
  try {
    message = toMessage(archived, place);
  } catch (error) {
    const name = error instanceof Error ? error.name : 'unknown';
    return void deps.log.error({ error: name }, 'xmpp message not understood, skipped');
  }
  storeReceived(() => message && deps.onMessage(message));
}

async function send(xmpp: Xmpp, part: OutboundPart): Promise<string> {
  const { session, settings } = xmpp;
  if (!session) throw new ChannelError('network', 'there is no connection to the XMPP server');
  const room = session.rooms.joined.find(({ address }) => address === part.address);
  if (!room && settings.rooms.includes(part.address)) throw new ChannelError('network', `not in ${part.address}`);
  return sendKnown(xmpp, session.stream, part, room);
}

const sentRow = z.object({ at: z.number(), platformId: z.string().optional() });

/** A part that was begun before is looked for first: the connection may have ended between its arrival and the answer. */
async function sendKnown(
  { deps, settings, connection }: Xmpp,
  stream: Stream,
  part: OutboundPart,
  room: Room | undefined,
): Promise<string> {
  const { storage, clock } = deps;
  const outgoing: Outgoing = { part, room, own: settings.address, salt: saltOf(deps), link: undefined };
  const id = idOf(outgoing);
  const save = (value: z.infer<typeof sentRow>) => storage.set([{ kind: 'sent', id, value: JSON.stringify(value) }]);
  const row = storage.get('sent', [id])[id];
  const before = row === undefined ? undefined : sentRow.parse(JSON.parse(row));
  if (before?.platformId !== undefined) return before.platformId;
  const at = before?.at ?? clock.now();
  const arrived = before && (await findSent(stream, outgoing, at));
  if (arrived !== undefined) {
    save({ at, platformId: arrived });
    return arrived;
  }
  storage.prune('sent', clock.now() - KEEP_SENT_MS);
  const access = { isLoopback: settings.isLoopback, signal: connection.sending };
  const link = part.file && (await upload(stream, settings.domain, part.file, access));
  save({ at });
  const platformId = await sendOnce(stream, { ...outgoing, link });
  save({ at, platformId });
  return platformId;
}

/** Made once; drawn on first use. Outbox keys of two installations must not meet. */
function saltOf({ storage }: ChannelDeps): string {
  const { salt } = storage.get('cursor', ['salt']);
  if (salt !== undefined) return salt;
  const drawn = randomUUID();
  storage.set([{ kind: 'cursor', id: 'salt', value: drawn }]);
  return drawn;
}
