// A store with an intake before it, a registered group chat, and a worker that claims and finishes by hand.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createFakeClock } from '../../../test/fakes/clock.js';
import type { InboundMessage } from '../../channels/channel.js';
import { openStore } from '../../store.js';
import { chatCommands } from '../commands.js';
import { createIntake } from '../intake.js';
import { createPairing } from '../pairing.js';

type Said = Partial<InboundMessage> & { from?: string; direct?: boolean };

export function startScene() {
  const store = openStore(join(mkdtempSync(join(tmpdir(), 'pinch-chats-')), 'pinch.db'));
  const clock = createFakeClock();
  const control = { status: () => ({ text: 'well' }), emergencyStop: () => undefined };
  const intake = createIntake({
    ...{ store, clock, log: pino({ level: 'silent' }), pairing: createPairing(store), assistantName: 'Pinch' },
    askToRegister: { forCall: () => undefined },
    commands: chatCommands({ store, clock, config: { assistantName: 'Pinch' }, control, resumeButtons: () => [] }),
    owner: { channel: 'telegram', address: '1' },
  });
  let nextId = 100;
  function message(text: string, { from = '1', direct = false, ...rest }: Said = {}): InboundMessage {
    return {
      chat: { address: direct ? from : '-5', kind: direct ? 'direct' : 'group', title: 'Chat' },
      sender: { address: from, name: `Person ${from}` },
      platformId: String(nextId++),
      ...{ text, sentAt: clock.now(), addressesAssistant: false, forwarded: false, edited: false, media: [] },
      ...rest,
    };
  }
  const receive = (inbound: InboundMessage) => intake.receive('telegram', inbound);
  receive(message('/register family'));
  const claim = () => store.runs.claim({ holder: 'w', now: clock.now(), excludeGroups: [] });
  return {
    ...{ store, clock, message, receive, claim },
    say: (text: string, said?: Said) => receive(message(text, said)),
    texts: (runId: number | undefined) => store.messages.ofRun(runId ?? 0).map((row) => row.text),
    finish: (run: { id: number; attempt: number } | undefined, state: 'done' | 'cancelled' = 'done') =>
      store.runs.finish({ id: run?.id ?? 0, holder: 'w', attempt: run?.attempt ?? 0 }, state, clock.now()),
    replies: () => store.outbox.list(50).map((row) => row.text),
    /** Runs that a message began, oldest first. */
    runs: () => store.runs.list(null, 50).reverse(),
  };
}
export type Scene = ReturnType<typeof startScene>;
