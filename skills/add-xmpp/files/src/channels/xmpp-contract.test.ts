// The XMPP channel keeps the contract of every channel, with a real server behind it: in a direct chat and in a room.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, test } from 'vitest';
import { eventually } from '../../test/e2e/harness.js';
import { createStorage } from '../../test/fakes/channel-host.js';
import { startXmppGate } from '../../test/fakes/xmpp-gate.js';
import { createPerson } from '../../test/fakes/xmpp-person.js';
import {
  DOMAIN,
  PASSWORD,
  ROOMS,
  startXmppServer,
  type XmppServer,
  xmppServerProblem,
} from '../../test/fakes/xmpp-server.js';
import { type Platform, testReceivingContract } from './testing/contract.js';
import { xmpp } from './xmpp.js';

let server: XmppServer;
let stop = async (): Promise<void> => undefined;

async function platform(kind: 'direct' | 'room'): Promise<Platform> {
  const name = randomUUID().slice(0, 8);
  const pinch = server.add(`pinch${name}`);
  const anna = await createPerson(server.add(`anna${name}`), server.port);
  const room = `room${name}@${ROOMS}`;
  if (kind === 'room') await anna.enter(room, 'Anna', { open: true });
  const gate = await startXmppGate(server.port);
  // What a channel stores outlives the process.
  const storage = createStorage();
  const write = storage.set;
  const handled = new Set<string>();
  let first: string | undefined;
  storage.set = (rows) => {
    for (const { kind: row, id, value } of rows)
      if (row === 'cursor' && id === (kind === 'room' ? room : 'own')) {
        const at = value ?? '';
        first ??= at;
        if (at !== first) handled.add(/"id":"([^"]*)"/.exec(at)?.[1] ?? '');
      }
    write(rows);
  };
  let said: Promise<unknown> = Promise.resolve();
  let count = 0;
  return {
    create(deps) {
      deps.storage = storage;
      const settings = {
        XMPP_ADDRESS: pinch,
        XMPP_PASSWORD: PASSWORD,
        XMPP_SERVICE: `xmpp://127.0.0.1:${gate.port}`,
        ...(kind === 'room' && { XMPP_ROOMS: room }),
      };
      const channel = xmpp.create(xmpp.env.parse(settings), deps);
      return (
        channel && {
          ...channel,
          // Taken by the server is not read: the person's program shows it a moment later.
          async send(part) {
            const before = read().length;
            const sent = await channel.send(part);
            await eventually(() => read().length > before || undefined, 'the message arrives');
            return sent;
          },
        }
      );
    },
    address: kind === 'room' ? room : anna.address,
    says(text) {
      said = said.then(async () => {
        count += 1;
        await anna.say(kind === 'room' ? room : `${pinch}`, text, { room: kind === 'room' });
      });
      return said;
    },
    read,
    unacknowledged: () => count - handled.size,
    offline: gate.offline,
    cut: gate.cut,
    isBackOff: (ms) => ms >= 700 && ms <= 60_000,
    hangNextSend: gate.silence,
    untilSendArrived: gate.untilSpoken,
    secrets: [PASSWORD],
    async close() {
      await said;
      await anna.leave();
      await gate.close();
    },
  };

  function read(): string[] {
    const from = (stanza: { attrs: Record<string, unknown> }) => String(stanza.attrs.from);
    return anna.received
      .filter((stanza) =>
        kind === 'room' ? from(stanza) === `${room}/Pinch` : from(stanza).endsWith(`@${DOMAIN}/pinch`),
      )
      .map((stanza) => stanza.getChildText('body') ?? '');
  }
}

const problem = xmppServerProblem();
if (problem) console.log(`skipped: ${problem}`);
if (problem) test.skip(`the XMPP channel against a real server: ${problem}`, () => undefined);
else {
  beforeAll(async () => {
    server = await startXmppServer();
    stop = server.close;
  });
  afterAll(() => stop());
  testReceivingContract('xmpp', () => platform('direct'));
  testReceivingContract('an xmpp room', () => platform('room'));
}
