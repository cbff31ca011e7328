// The emergency stop with everything in flight: a download that never ends, an approval that is open and waited for, a reply that streams, a
// message that cannot be sent now, a task. After two seconds nothing is left of it; nothing begins until the owner, and nobody else, resumes.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type EndlessSite, startEndlessSite } from '../../src/egress/testing/sites.js';
import type { RecordedRequest, Step } from '../fakes/anthropic.js';
import { whenBusy } from '../limits.js';
import { type Family, startFamily } from './family.js';
import { containersOf, eventually, newHome, startDaemon } from './harness.js';
import { bash, type Scene, say, startScene } from './talk.js';

const home = newHome();
let scene: Scene;
let env: Record<string, string>;
let tg: Family['tg'];
let olga: Family['olga'];
let ben: Family['ben'];
let direct: Family['direct'];
let family: Family['family'];
let site: EndlessSite;

const LATE = 'too late to be sent';
const inFamily = (port: number) =>
  `curl -s http://site.example:${port}/ -o /dev/null & pinch send '${LATE}'; curl -s http://unknown.example/; echo >asked; pinch wait 1`;

/** By the last words: the one who downloads, asks and waits; the one who talks without end; all others. */
function answer({ body }: RecordedRequest): Step {
  const given = JSON.stringify(body?.messages.at(-1));
  if (given.includes('do everything')) return bash(inFamily(site.port), { timeout_ms: 600_000 });
  if (given.includes('talk for ever')) return { text: 'word '.repeat(50_000), deltaChars: 5, delayMs: 50 };
  return { text: 'after all' };
}

beforeAll(async () => {
  site = await startEndlessSite();
  ({ tg, olga, ben, direct, family, env } = await startFamily());
  scene = await startScene({ daemon: { home, env }, model: { responder: answer } });
  await tg.waitForPoll();
  tg.userSends(direct, olga, '/help');
  tg.userSends(family, olga, '/register family');
  await tg.waitForSent(2);
  await scene.daemon.api('POST', '/api/egress', { host: 'site.example', ports: [site.port], address: '127.0.0.1' });
});
afterAll(async () => {
  await scene.close();
  await tg.close();
  site.close();
});

const status = async () =>
  z
    .object({ stopped: z.boolean(), runs: z.record(z.string(), z.number()) })
    .parse((await scene.daemon.api('GET', '/api/status')).body);
const approval = async () => {
  const { body } = await scene.daemon.api('GET', '/api/approvals');
  return z.object({ approvals: z.array(z.object({ id: z.number(), state: z.string() })) }).parse(body).approvals[0];
};
const inStore = <T>(work: (db: Database.Database) => T): T => {
  const db = new Database(join(home, 'data/pinch.db'));
  try {
    return work(db);
  } finally {
    db.close();
  }
};
const says = async (chat: typeof family | typeof direct, who: Family['olga'], text: string, answer: string) => {
  tg.userSends(chat, who, text);
  await tg.waitForSent((sent) => sent.chat_id === chat.id && sent.plain.includes(answer));
};

/** All of it at once. Returns the reply that streams. */
async function everythingInFlight(): Promise<RecordedRequest> {
  await scene.daemon.api('POST', '/api/tasks', {
    prompt: 'talk for ever',
    every: '60m',
    chat: `telegram:${family.id}`,
  });
  tg.faults.next('sendMessage', { status: 429, parameters: { retry_after: 5 } });
  tg.userSends(family, ben, '@Pinch do everything');
  await eventually(async () => (await approval())?.state === 'open', 'an approval is open');
  await eventually(() => site.counts.downloads > 0, 'the download is under way');
  await eventually(
    () => inStore((db) => db.prepare('SELECT 1 FROM outbox WHERE text = ?').get(LATE)),
    'a message waits',
  );
  await say(scene.daemon, 'talk for ever');
  const talking = (request: RecordedRequest) => JSON.stringify(request.body?.messages.at(-1)).includes('talk for ever');
  const streaming = await scene.model.waitForRequest(talking);
  await eventually(async () => (await containersOf(home)).length === 2, 'both containers work');
  return streaming;
}

test('stops all of it within two seconds, holds over a kill, and ends by the owner’s word alone', async () => {
  const streaming = await everythingInFlight();
  const requests = scene.model.requests.length;
  const startedAt = Date.now();
  tg.userSends(direct, olga, '/stop all');
  const ended = [
    eventually(() => site.counts.downloads === 0, 'the download is gone').then(() => Date.now() - startedAt),
    streaming.ended.then(() => Date.now() - startedAt),
    eventually(async () => (await containersOf(home)).length === 0, 'no container').then(() => Date.now() - startedAt),
  ];
  const took = await Promise.all(ended);
  console.info(`gone after: download ${took[0]} ms, model call ${took[1]} ms, containers ${took[2]} ms`);
  expect(Math.max(...took)).toBeLessThan(whenBusy(2_000));
  expect(streaming.outcome).toBe('aborted');
  await tg.waitForSent((sent) => sent.plain.startsWith('Everything is stopped.'));
  expect(await status()).toMatchObject({ stopped: true });
  expect((await status()).runs.leased ?? 0).toBe(0);

  const isStillStopped = async () => {
    // What is due, what is asked, what is approved: nothing begins.
    inStore((db) => db.exec('UPDATE tasks SET next_at = 1'));
    await scene.daemon.api('PATCH', '/api/tasks/1', { title: `look at ${Date.now()}` });
    tg.userSends(family, ben, '@Pinch are you there?');
    tg.userSends(family, ben, '/resume');
    await tg.waitForConfirmed();
    const { body, status: code } = await scene.daemon.api('POST', '/api/approvals/1', { decision: 'allow' });
    expect([code >= 400, JSON.stringify(body)]).toEqual([true, expect.stringContaining('everything is stopped')]);
    await says(direct, olga, '/approve 1', 'everything is stopped');
    expect((await approval())?.state).toBe('open');
    expect(await status()).toMatchObject({ stopped: true });
    expect([(await containersOf(home)).length, scene.model.requests.length]).toEqual([0, requests]);
  };
  await isStillStopped();
  await scene.daemon.kill('SIGKILL');
  writeFileSync(join(home, 'data/stop.json'), '{"reason": \0');
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  await isStillStopped();

  await says(direct, olga, '/resume', 'I go on.');
  expect(await status()).toMatchObject({ stopped: false });
  await tg.waitForSent((sent) => sent.chat_id === family.id && sent.plain === 'after all');
  expect((await scene.daemon.api('POST', '/api/approvals/1', { decision: 'allow' })).status).toBe(200);
  expect((await approval())?.state).toBe('done');
  expect(tg.sent.filter(({ plain }) => plain.includes(LATE))).toEqual([]);
  const heard = scene.model.requests.slice(requests).map(({ body }) => JSON.stringify(body?.messages));
  expect(heard.filter((messages) => messages.includes('are you there?'))).not.toEqual([]);
});
