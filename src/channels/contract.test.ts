// The built-in channels keep what channel.ts promises (testing/contract.ts). A further channel adds one entry to `receiving`.
import { BufferJSON } from '@whiskeysockets/baileys';
import { createStorage } from '../../test/fakes/channel-host.js';
import { startFakeTelegram } from '../../test/fakes/telegram.js';
import { startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import { reactionsIn, screenOf } from '../../test/fakes/whatsapp-screen.js';
import { telegram } from './telegram.js';
import { type Platform, testContract, testReceivingContract } from './testing/contract.js';
import { web } from './web.js';
import { whatsapp } from './whatsapp.js';

async function telegramPlatform(): Promise<Platform> {
  const fake = await startFakeTelegram();
  const anna = fake.user({ id: 11, first_name: 'Anna' });
  const chat = fake.privateChat(anna);
  return {
    create: (deps) => telegram.create({ TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: fake.url }, deps),
    address: String(chat.id),
    says: (text) => void fake.userSends(chat, anna, text),
    passesOn: (text) => void fake.userSends(chat, anna, { text, forwarded: true }),
    answers(platformId) {
      fake.userPresses(chat, anna, Number(platformId), 'choice:1');
      return 'choice:1';
    },
    read: () => fake.sent.map((sent) => sent.plain),
    shows: () => {
      const gone = fake.deleted.map(({ message_id: id }) => id);
      return [...new Map([...fake.silent, ...fake.sent].map((sent) => [sent.message_id, sent.plain]))]
        .sort(([a], [b]) => a - b)
        .flatMap(([id, text]) => (gone.includes(id) ? [] : [text]));
    },
    reactions: () => fake.reactions.map(({ emoji }) => emoji.join('')),
    unacknowledged: () => fake.pendingUpdates().length,
    offline: fake.offline,
    hangNextSend: () => fake.faults.next('sendMessage', { hangMs: Number.POSITIVE_INFINITY }),
    untilSendArrived: () => fake.waitForRequest('sendMessage'),
    secrets: [fake.token],
    close: fake.close,
  };
}

async function whatsappPlatform(): Promise<Platform> {
  const fake = await startFakeWhatsApp();
  const anna = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Anna' });
  const creds = JSON.stringify(fake.linkedCreds(), BufferJSON.replacer);
  // What a channel stores outlives the process.
  const storage = createStorage();
  storage.set([
    { kind: 'creds', id: 'creds', value: creds },
    { kind: 'meta', id: 'linked-at', value: '1' },
  ]);
  let said: Promise<unknown> = Promise.resolve();
  return {
    create(deps) {
      deps.storage = storage;
      return whatsapp.create(whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url }), deps);
    },
    address: anna.phone,
    says(text) {
      said = said.then(() => anna.says(text, { encrypted: true }));
      return said;
    },
    passesOn: (text) =>
      anna.says({ message: { extendedTextMessage: { text, contextInfo: { isForwarded: true, forwardingScore: 1 } } } }),
    claimsToAnswer: (text) => anna.says(text, { replyTo: { id: 'NEVER', by: 'me', text: 'Shall I pay?' } }),
    answers(platformId) {
      void anna.reacts({ id: platformId, by: 'me' }, '👍', { encrypted: true });
      return '👍';
    },
    read: () => anna.received.map((received) => received.text ?? ''),
    shows: () => screenOf(anna.received).map(({ text }) => text),
    reactions: () => reactionsIn(anna.received).map(({ emoji }) => emoji),
    unacknowledged: fake.unconfirmed,
    offline: fake.faults.refuse,
    cut: fake.faults.drop,
    isBackOff: (ms) => ms < 60_000,
    hangNextSend: () => fake.faults.silence(true),
    secrets: [...creds.matchAll(/"data":"([^"]{20,})"/g)].map(([, secret = '']) => secret),
    close: fake.close,
  };
}

async function webPlatform(): Promise<Platform> {
  const read: string[] = [];
  return {
    create(deps) {
      const channel = web.create({}, deps);
      // The page reads what delivery stores after the send; here that is the text of an accepted part.
      return (
        channel && {
          ...channel,
          async send(part) {
            const accepted = await channel.send(part);
            read.push(part.text);
            return accepted;
          },
        }
      );
    },
    address: 'owner',
    read: () => read,
    unacknowledged: () => 0,
    secrets: [],
    close: async () => undefined,
  };
}

const receiving = { telegram: telegramPlatform, whatsapp: whatsappPlatform };
for (const [name, start] of Object.entries(receiving)) testReceivingContract(name, start);
testContract('web', webPlatform);
