// What a channel's state says, and to whom.
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createFakeClock } from '../../test/fakes/clock.js';
import { loadConfig } from '../core/config.js';
import { reportChannel } from './tell-person.js';

function report(state: Parameters<typeof reportChannel>[2], code?: string) {
  const shown: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => shown.push(String(text)) > 0);
  const [lines, notices]: [string[], string[]] = [[], []];
  reportChannel(
    {
      log: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }),
      clock: createFakeClock(),
      store: { signal: () => true },
      config: loadConfig({ PINCH_HOME: '/tmp' }, process.cwd()),
      notifyOwner: (_, text) => void notices.push(text),
      pairing: { open: ([channel = '']) => (code === undefined ? [] : [{ channel, code }]) },
      channel: { pairingLink: (given) => `https://t.me/PinchBot?start=${given}` },
    },
    'whatsapp',
    state,
  );
  vi.restoreAllMocks();
  return { logged: lines.join(''), shown: shown.join(''), notices };
}

test.each([
  ['the code that links a device', { detail: 'enter ABCD1234 on the phone', link: { code: 'ABCD1234' } }, 'ABCD1234'],
  ['the QR code', { detail: 'scan the QR code', link: { qr: '2@canary,keys,of,it' } }, 'canary'],
])('%s is shown in the terminal, never at any level in the log', (_, state, secret) => {
  const { logged, shown, notices } = report({ state: 'linking', ...state });
  expect(logged).toContain('linking');
  expect([logged, notices.join('')].join('')).not.toContain(secret);
  expect(shown).toMatch(/ABCD1234|[▀▄█]/);
});

test('who may become the owner gets the link as a code to scan, once the channel is open', () => {
  const { logged, shown } = report({ state: 'open', detail: '@PinchBot' }, 'ABCD2345');
  expect(shown).toContain('open https://t.me/PinchBot?start=ABCD2345, and press Start');
  expect(shown).toMatch(/[▀▄█]/);
  expect(logged).not.toContain('ABCD2345');
  expect(report({ state: 'reconnecting', detail: 'x' }, 'ABCD2345').shown).toBe('');
  expect(report({ state: 'open', detail: '@PinchBot' }).shown).toBe('');
});

test('the owner is told of a channel that needs a person, and of no other', () => {
  expect(report({ state: 'blocked', detail: 'another program uses it' }).notices).toEqual([
    'The channel whatsapp needs you: another program uses it',
  ]);
  for (const state of ['open', 'connecting', 'reconnecting', 'stopped', 'linking'] as const)
    expect(report({ state, detail: 'x' }).notices).toEqual([]);
});
