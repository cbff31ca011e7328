// What every measurement works with: a person on Telegram, a scripted model, the daemon between them, and how figures are printed.
import { readFileSync } from 'node:fs';
import type { Chat, User } from 'grammy/types';
import { type DaemonProcess, startDaemon } from '../e2e/harness.js';
import { type FakeAnthropic, startFakeAnthropic } from '../fakes/anthropic.js';
import { type FakeTelegram, startFakeTelegram } from '../fakes/telegram.js';

export interface World {
  tg: FakeTelegram;
  model: FakeAnthropic;
  olga: User;
  chat: Chat.PrivateChat;
}

export async function createWorld(): Promise<World> {
  return worldOf(await startFakeAnthropic());
}

/** Another bot with the same model: only one program may poll for a bot. */
export async function worldOf(model: FakeAnthropic): Promise<World> {
  const tg = await startFakeTelegram();
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  return { tg, model, olga, chat: tg.privateChat(olga) };
}

/** What an assistant of that world is told. */
export const settingsOf = ({ tg, model }: World): Record<string, string> => ({
  TELEGRAM_BOT_TOKEN: tg.token,
  TELEGRAM_API_ROOT: tg.url,
  ANTHROPIC_BASE_URL: model.url,
  ANTHROPIC_API_KEY: 'test-key',
});

export function start(
  world: World,
  home: string,
  { repository, ...env }: Record<string, string> = {},
): Promise<DaemonProcess> {
  const settings = { ...settingsOf(world), PINCH_OWNER: 'telegram:11', PINCH_LOG_LEVEL: 'info', ...env };
  return startDaemon({ home, env: settings, ...(repository && { repository }) });
}

/** One message there and back: ms from the update to the model request, and from the model's answer to sendMessage. */
export async function roundTrip(world: World): Promise<{ inMs: number; outMs: number }> {
  const { tg, model, olga, chat } = world;
  let [asked, answered] = [0, 0];
  // How long the fake server looks at a request is nobody's but its own.
  model.push(({ arrivedAt }) => {
    asked = arrivedAt;
    answered = performance.now();
    return { text: 'ok' };
  });
  const before = tg.sent.length;
  await tg.waitForPoll(20_000);
  const sentAt = performance.now();
  tg.userSends(chat, olga, 'hello');
  await tg.waitForSent(before + 1, 30_000);
  return { inMs: asked - sentAt, outMs: performance.now() - answered };
}

export const rssMbOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

/** Processor time so far. */
export const cpuMs = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** Rows of text, the columns below each other. */
export function printTable(rows: string[][]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('   '),
    );
}

export function report(figures: Record<string, number[]>): void {
  for (const [name, values] of Object.entries(figures)) {
    const [median, p95] = [quantile(values, 0.5), quantile(values, 0.95)].map((value) => value.toFixed(1).padStart(8));
    console.log(`${name.padEnd(42)} median ${median}   p95 ${p95}   n=${values.length}`);
  }
}
