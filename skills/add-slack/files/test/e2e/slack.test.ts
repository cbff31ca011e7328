// Slack, end to end: the built daemon, a container and the fake Slack. Runs where Docker is and this channel is built.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeConversation, type FakeSlack, type FakeUser, plainSlack, startFakeSlack } from '../fakes/slack.js';
import { eventually } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

const hasDocker = await new Docker().ping().then(
  () => true,
  () => false,
);
const dist = join(import.meta.dirname, '../../dist');
const built = existsSync(dist) ? readdirSync(dist).filter((name) => name.endsWith('.js')) : [];
const isBuilt = built.some((name) => readFileSync(join(dist, name), 'utf8').includes('SLACK_APP_TOKEN'));
const problem = hasDocker ? (isBuilt ? '' : 'dist/ has no Slack: run `npm run build`') : 'there is no Docker';

describe.skipIf(problem !== '')(`Slack, end to end${problem && `: skipped, ${problem}`}`, () => {
  let fake: FakeSlack;
  let scene: Scene;
  let anna: FakeUser;
  let direct: FakeConversation;

  beforeAll(async () => {
    fake = await startFakeSlack();
    anna = fake.user('UANNA', 'Anna');
    direct = fake.conversation({ id: 'D1', kind: 'im', name: '', user: anna.id });
    const tokens = { SLACK_BOT_TOKEN: fake.botToken, SLACK_APP_TOKEN: fake.appToken, SLACK_API_ROOT: fake.url };
    scene = await startScene({ daemon: { env: { ...tokens, PINCH_OWNER: 'slack:UANNA' } } });
    await scene.daemon.waitForLog((line) => line.channel === 'slack' && line.state === 'open');
  });
  afterAll(async () => {
    await scene.close();
    await fake.close();
  });
  const texts = () => fake.sent().map(({ text }) => plainSlack(text));

  test('the owner writes, a container works, the answer comes', async () => {
    scene.model.push(bash('echo $((6 * 7))'), { text: 'It is **42**.' });
    fake.says(direct, anna, 'how much is it?');
    await eventually(() => texts().length > 0, 'an answer');
    expect(texts()).toEqual(['It is *42*.']);
  });

  test('a stranger gets no answer and costs no model call', async () => {
    const calls = scene.model.requests.length;
    const ben = fake.user('UBEN', 'Ben');
    fake.says(fake.conversation({ id: 'D2', kind: 'im', name: '', user: ben.id }), ben, 'hello?');
    await fake.untilAcknowledged();
    expect(scene.model.requests).toHaveLength(calls);
    expect(texts()).toHaveLength(1);
  });
});
