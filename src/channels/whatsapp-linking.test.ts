// How the WhatsApp channel is linked to an account: the real Baileys against the fake server.
import { DEFAULT_CONNECTION_CONFIG } from '@whiskeysockets/baileys';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ChannelHost } from '../../test/fakes/channel-host.js';
import type { FakeWhatsApp } from '../../test/fakes/whatsapp.js';
import { setUpWhatsApp, type WhatsAppSetup } from './testing/whatsapp-harness.js';

let setup: WhatsAppSetup;
let fake: FakeWhatsApp;
let host: ChannelHost;

beforeEach(async () => {
  setup = await setUpWhatsApp();
  ({ fake, host } = setup);
});
afterEach(() => setup.close());

const HOUR_MS = 3_600_000;
const PHONE = { WHATSAPP_PAIRING_PHONE: '+491700000000' };

/** The adapter leaves the library's minute per code as it is. */
function shortLivedCodes(ms: number): void {
  DEFAULT_CONNECTION_CONFIG.qrTimeout = ms;
  onTestFinished(() => {
    delete DEFAULT_CONNECTION_CONFIG.qrTimeout;
  });
}

describe('linking', () => {
  test('by QR code: the code is shown, scanned, and the device stays linked after a restart', async () => {
    const channel = setup.create();
    channel.start();
    await host.untilState('linking');
    const qr = setup.link()?.qr ?? '';
    await fake.scan(qr);
    await host.untilState('open');
    expect(setup.states()).toEqual(['connecting', 'linking', 'reconnecting', 'open']);
    // Its parts hold the secret by which the phone is believed.
    for (const part of qr.split(',').slice(0, 4)) expect(host.logLines.join('\n')).not.toContain(part);
    expect(host.states.at(-1)).toEqual({ state: 'open', detail: '+491700000000' });
    await channel.stop();
    setup.create().start();
    await setup.untilCount('open', 2);
    expect(fake.logins).toBe(2);
    await setup.expectToHear('still there?');
  });

  test('by pairing code: the code is in the state instead of a QR code, and typed on the phone', async () => {
    setup.create(PHONE).start();
    await host.untilState('linking');
    const code = setup.link()?.code ?? '';
    expect(setup.link()).toEqual({ code: expect.stringMatching(/^[1-9A-HJ-NP-TV-Z]{8}$/) });
    expect(host.states.at(-1)?.detail).toContain(code);
    await fake.enterCode(code);
    await host.untilState('open');
    expect(setup.states()).toEqual(['connecting', 'linking', 'reconnecting', 'open']);
    await setup.expectToHear('hello');
  });

  test('a pairing code that is lost before it is typed: the next connection has a new one, and that works', async () => {
    const channel = setup.create(PHONE);
    channel.start();
    await host.untilState('linking');
    const first = setup.link()?.code;
    fake.faults.drop();
    await setup.untilCount('linking', 2);
    const second = setup.link()?.code;
    await channel.stop();
    setup.create(PHONE).start();
    await setup.untilCount('linking', 3);
    expect(new Set([first, second, setup.link()?.code]).size).toBe(3);
    await fake.enterCode(setup.link()?.code ?? '');
    await host.untilState('open');
    expect(setup.count('logged-out')).toBe(0);
  });

  test('a connection has one pairing code, however many QR codes it could show', async () => {
    // Making the code takes a tenth of a second, and longer on a busy machine.
    shortLivedCodes(500);
    const channel = setup.create(PHONE);
    channel.start();
    await host.untilState('unlinked');
    expect(setup.states()).toEqual(['connecting', 'linking', 'unlinked']);
    DEFAULT_CONNECTION_CONFIG.qrTimeout = 60_000;
    channel.link?.();
    await host.until(() => setup.link()?.code !== undefined);
    await fake.enterCode(setup.link()?.code ?? '');
    await host.untilState('open');
  });

  test('nobody scans: it stops asking until somebody wants a code, and only then', async () => {
    shortLivedCodes(10);
    const clock = setup.stopTime();
    const channel = setup.create();
    channel.start();
    await host.untilState('unlinked');
    expect(new Set(host.states.flatMap(({ link }) => link?.qr ?? [])).size).toBe(6);
    await clock.advance(HOUR_MS);
    await fake.waitFor(() => fake.sockets() === 0);
    expect(fake.knocks).toBe(1);
    DEFAULT_CONNECTION_CONFIG.qrTimeout = 60_000;
    channel.link?.();
    channel.link?.();
    await host.until(() => setup.link()?.qr !== undefined);
    channel.link?.();
    await fake.scan(setup.link()?.qr ?? '');
    await setup.untilCount('reconnecting', 1);
    await clock.advance(0);
    await host.untilState('open');
    channel.link?.();
    expect(fake.knocks).toBe(3);
  });
});
