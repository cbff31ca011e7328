// Mail, end to end: the built daemon, a container and real mail servers with TLS. Runs where Docker and the servers are.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { AUTH_SERVER, type MailServer, mailServerProblem, PASSWORD, startMailServer } from '../fakes/mail-server.js';
import { eventually, newHome, removeHome, startDaemon } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

const dist = join(import.meta.dirname, '../../dist');
const built = existsSync(dist) ? readdirSync(dist).filter((name) => name.endsWith('.js')) : [];
const problem =
  (built.some((name) => readFileSync(join(dist, name), 'utf8').includes('EMAIL_AUTH_SERVER'))
    ? undefined
    : 'dist/ is not built with this channel (npm run build)') ??
  (await imageProblem()) ??
  mailServerProblem();
if (problem) console.log(`skipped: ${problem}`);

/** Why no container can start, in words. */
async function imageProblem(): Promise<string | undefined> {
  const file = join(dist, 'agent-image.json');
  if (!existsSync(file)) return 'the agent image is not built (npm start)';
  const { tag } = z.object({ tag: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8')));
  return new Docker()
    .getImage(tag)
    .inspect()
    .then(
      () => undefined,
      () => 'there is no Docker, or it has no agent image (npm start)',
    );
}

const PINCH = 'pinch@pinch.test';
const ANNA = 'anna@people.test';
const BEN = 'ben@people.test';

describe.skipIf(problem)(`mail, end to end${problem ? `: skipped, ${problem}` : ''}`, () => {
  let server: MailServer;
  let scene: Scene;
  let env: Record<string, string>;
  const home = newHome();

  beforeAll(async () => {
    server = await startMailServer();
    for (const address of [PINCH, ANNA, BEN]) server.add(address);
    env = {
      EMAIL_ADDRESS: PINCH,
      EMAIL_PASSWORD: PASSWORD,
      // STARTTLS here, TLS from the start there.
      EMAIL_IMAP: `imap://127.0.0.2:${server.imapPort}`,
      EMAIL_SMTP: `smtps://localhost:${server.smtpsPort}`,
      EMAIL_AUTH_SERVER: AUTH_SERVER,
      PINCH_OWNER: `email:${ANNA}`,
      NODE_EXTRA_CA_CERTS: server.ca,
    };
    scene = await startScene({ daemon: { home, env } });
    await scene.daemon.waitForLog((line) => line.channel === 'email' && line.state === 'open');
  });
  afterAll(async () => {
    await scene.close();
    await server.close();
    removeHome(home);
  });

  const write = (id: string, text: string, from = ANNA) =>
    server.submit({
      raw: `From: ${from}\nTo: ${PINCH}\nSubject: Sums\nMessage-ID: <${id}@people.test>\n\n${text}\n`,
      login: from,
      to: PINCH,
    });
  const answers = (count: number) =>
    eventually(
      () => (server.mails(ANNA).length >= count ? server.mails(ANNA).map(({ raw }) => raw) : undefined),
      'an answer',
    );

  test('a mail is answered from a container, in its thread', async () => {
    scene.model.push(bash('echo $((6 * 7))'), { text: 'It is **42**.' });
    await write('one', 'How much is it?');
    const [raw = ''] = await answers(1);
    expect(raw).toContain('It is <strong>42</strong>.');
    expect(raw).toContain('In-Reply-To: <one@people.test>');
    const asked = JSON.stringify(scene.model.requests[0]?.body?.messages.at(-1));
    expect(asked).toContain('[subject: Sums]');
  });

  test('a stranger gets no answer and costs no model call', async () => {
    const calls = scene.model.requests.length;
    await write('stranger', 'Hello?', BEN);
    await eventually(() => server.mails(PINCH).every(({ seen }) => seen) || undefined, 'the mail is handled');
    expect(scene.model.requests).toHaveLength(calls);
    expect(server.mails(BEN)).toEqual([]);
  });

  test('killed while it works, it answers once after the restart', async () => {
    const before = server.mails(ANNA).length;
    const { daemon } = scene;
    scene.model.push({ text: 'Back again.' });
    await write('two', 'Still there?');
    await daemon.kill('SIGKILL');
    scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
    const raw = (await answers(before + 1)).at(-1) ?? '';
    expect(raw).toContain('Back again.');
    expect(raw).toContain('In-Reply-To: <two@people.test>');
    await write('three', '/status');
    await answers(before + 2);
    expect(server.mails(ANNA).filter(({ raw: mail }) => mail.includes('Back again.'))).toHaveLength(1);
  });
});
