// The real clients of Telegram and WhatsApp: what a person sees while a run works, and what is left of it.
import { BufferJSON } from '@whiskeysockets/baileys';
import { vi } from 'vitest';
import { createChannelHost } from '../../test/fakes/channel-host.js';
import { startFakeTelegram } from '../../test/fakes/telegram.js';
import { startFakeWhatsApp } from '../../test/fakes/whatsapp.js';
import { screenOf } from '../../test/fakes/whatsapp-screen.js';
import { telegram } from '../channels/telegram.js';
import { whatsapp } from '../channels/whatsapp.js';
import { closing, type Scene, testProgress } from './testing/scene.js';

async function onTelegram(): Promise<Scene> {
  const fake = await startFakeTelegram();
  closing.push(fake.close);
  const chat = fake.privateChat(fake.user({ id: 11, first_name: 'Anna' }));
  const host = createChannelHost();
  const channel = await telegram.create({ TELEGRAM_BOT_TOKEN: fake.token, TELEGRAM_API_ROOT: fake.url }, host.deps);
  if (!channel) throw new Error('off');
  const shown = () => [...new Map([...fake.silent, ...fake.sent].map((sent) => [sent.message_id, sent.plain]))];
  const isThere = (id: number) => !fake.deleted.some(({ message_id: gone }) => gone === id);
  return {
    ...{ host, channel, address: String(chat.id) },
    shows: () => shown().flatMap(([id, text]) => (isThere(id) ? [text] : [])),
    rang: () => fake.sent.length,
  };
}

async function onWhatsApp(): Promise<Scene> {
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  const fake = await startFakeWhatsApp();
  closing.push(fake.close);
  const anna = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Anna' });
  const host = createChannelHost();
  host.deps.storage.set([
    { kind: 'creds', id: 'creds', value: JSON.stringify(fake.linkedCreds(), BufferJSON.replacer) },
    { kind: 'meta', id: 'linked-at', value: '1' },
  ]);
  const env = whatsapp.env.parse({ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url });
  const channel = await whatsapp.create(env, host.deps);
  if (!channel) throw new Error('off');
  const screen = () => screenOf(anna.received);
  const isNew = ({ message: { protocolMessage, reactionMessage } }: (typeof anna.received)[number]) =>
    !protocolMessage && !reactionMessage;
  return {
    ...{ host, channel, address: anna.phone },
    shows: () => screen().map(({ text }) => text),
    rang: () => anna.received.filter(isNew).length,
  };
}

testProgress('telegram', onTelegram);
testProgress('whatsapp', onWhatsApp);
