// Pictures sent together, and messages that are corrected, over both channels: the question, and what a killed process makes of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type FakeWhatsApp, type Group, type Peer, startFakeWhatsApp } from '../fakes/whatsapp.js';
import { type Family, registerFamily, startFamily } from './family.js';
import { eventually, newHome, startDaemon } from './harness.js';
import { type Scene, startScene } from './talk.js';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const lastTurn = ({ model }: Scene) => JSON.stringify(model.requests.at(-1)?.body?.messages.at(-1));
const picturesIn = (turn: string) => turn.split('"type":"image"').length - 1;

describe('Telegram', () => {
  let scene: Scene;
  let all: Family;
  beforeAll(async () => {
    all = await startFamily();
    scene = await startScene({ daemon: { env: all.env } });
    await registerFamily(all);
  });
  afterAll(async () => {
    await scene.close();
    await all.tg.close();
  });
  const calls = () => scene.model.requests.length;
  /** The assistant says this once it is asked; resolves when it did. */
  async function answers(text: string, ask: () => unknown) {
    scene.model.push({ text });
    ask();
    return all.tg.waitForSent(({ plain }) => plain === text);
  }

  test.each([
    0, 1, 2,
  ])('an album in a group with the name on picture %d: one question with all of them', async (which) => {
    const { tg, family, ben } = all;
    const before = calls();
    const parts = [0, 1, 2].map((at) => ({
      photo: { bytes: png },
      ...(at === which && { caption: '@Pinch which one?' }),
    }));
    await answers(`the one at ${which}`, () => tg.userSendsAlbum(family, ben, parts));
    expect([calls() - before, picturesIn(lastTurn(scene))]).toEqual([1, 3]);
    expect(lastTurn(scene).match(/ album=/g)).toHaveLength(3);
  });

  test('without a call it starts nothing; a reply to it is asked with all of its pictures', async () => {
    const { tg, family, ben } = all;
    const before = calls();
    const [first] = tg.userSendsAlbum(family, ben, [{ photo: { bytes: png } }, { photo: { bytes: png } }]);
    await tg.waitForConfirmed();
    expect(calls()).toBe(before);
    const text = '@Pinch what are these?';
    await answers('dots', () => tg.userSends(family, ben, { text, reply_to: first?.message_id ?? 0 }));
    // The one that is replied to comes along with the reply as well.
    expect(picturesIn(lastTurn(scene))).toBe(3);
  });

  test('as a reply to the assistant it needs no name', async () => {
    const { tg, family, ben } = all;
    const reply_to = tg.sent.at(-1)?.message_id ?? 0;
    const parts = [{ photo: { bytes: png }, reply_to }, { photo: { bytes: png } }, { photo: { bytes: png } }];
    await answers('more dots', () => tg.userSendsAlbum(family, ben, parts));
    expect(picturesIn(lastTurn(scene))).toBe(3);
  });

  test('a picture that cannot be fetched is named, the others are shown', async () => {
    const { tg, direct, olga } = all;
    tg.faults.next('file', { status: 404, description: 'Not Found' });
    const parts = [{ photo: { bytes: png } }, { photo: { bytes: png }, caption: 'both?' }];
    await answers('one of them', () => tg.userSendsAlbum(direct, olga, parts));
    expect(picturesIn(lastTurn(scene))).toBe(1);
    expect(lastTurn(scene)).toContain('could not be fetched');
  });

  test('kill -9 after its first picture: the run has all of them', async () => {
    const { tg, direct, olga } = all;
    const before = calls();
    const album = '13000000000000777';
    tg.userSends(direct, olga, { photo: { bytes: png }, caption: 'what do they show?', album });
    await tg.waitForConfirmed();
    await scene.daemon.kill('SIGKILL');
    for (let more = 0; more < 2; more++) tg.userSends(direct, olga, { photo: { bytes: png }, album });
    scene.model.push({ text: 'three dots' });
    scene.daemon = await startDaemon({ home: scene.daemon.home, env: { ...scene.env, ...all.env } });
    await tg.waitForSent(({ plain }) => plain === 'three dots');
    expect([calls() - before, picturesIn(lastTurn(scene))]).toEqual([1, 3]);
  });

  test('an edit after the answer is answered, once; a preview, and an edit after somebody wrote, are not', async () => {
    const { tg, family, ben, olga } = all;
    let asked = 0;
    await answers('4', () => {
      asked = tg.userSends(family, ben, '@Pinch what is 2+2?').message_id;
    });
    tg.userSends(family, ben, { edit_of: asked });
    const before = calls();
    await answers('6', () => {
      for (const text of ['@Pinch what is 2+', '@Pinch what is 2+3?', '@Pinch what is 2+4?'])
        tg.userSends(family, ben, { edit_of: asked, text });
    });
    expect(calls() - before).toBe(1);
    expect(lastTurn(scene)).toMatch(/ replaces=\\"\d+\\".*<edited>.*2\+4/);
    expect(lastTurn(scene)).not.toContain('2+3');
    tg.userSends(family, olga, 'enough of that');
    tg.userSends(family, ben, { edit_of: asked, text: '@Pinch what is 2+5?' });
    await tg.waitForConfirmed();
    await answers('yes', () => tg.userSends(family, ben, '@Pinch are you there?'));
    expect(calls() - before).toBe(2);
    expect(lastTurn(scene)).toMatch(/enough of that.*2\+5.*are you there/);
  });

  test('kill -9 after an edit: it reaches the model once', async () => {
    const { tg, direct, olga } = all;
    let asked = 0;
    await answers('8', () => {
      asked = tg.userSends(direct, olga, 'what is 4+4?').message_id;
    });
    const before = calls();
    tg.userSends(direct, olga, { edit_of: asked, text: 'what is 4+5?' });
    await tg.waitForConfirmed();
    await scene.daemon.kill('SIGKILL');
    scene.model.push({ text: '9' });
    scene.daemon = await startDaemon({ home: scene.daemon.home, env: { ...scene.env, ...all.env } });
    await tg.waitForSent(({ plain }) => plain === '9');
    await answers('done', () => tg.userSends(direct, olga, 'thanks'));
    expect(calls() - before).toBe(2);
    expect(JSON.stringify(scene.model.requests.at(-1)?.body?.messages).match(/4\+5/g)).toHaveLength(1);
  });
});

describe('WhatsApp', () => {
  const home = newHome();
  let scene: Scene;
  let fake: FakeWhatsApp;
  let olga: Peer;
  let ben: Peer;
  let family: Group;
  let env: Record<string, string>;
  beforeAll(async () => {
    // The fake's people use libsignal too, which prints whole sessions.
    for (const method of ['info', 'warn', 'error'] as const)
      vi.spyOn(console, method).mockImplementation(() => undefined);
    fake = await startFakeWhatsApp({ phone: '491700000000' });
    olga = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Olga' });
    ben = fake.contact({ phone: '491702222222', lid: '200000000000002', name: 'Ben' });
    family = fake.group({ subject: 'Family', members: [olga, ben], addressing: 'lid' });
    const ca = join(home, 'media.pem');
    writeFileSync(ca, fake.media.ca);
    env = {
      ...{ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, PINCH_OWNER: 'whatsapp:+491701111111' },
      ...{ NODE_EXTRA_CA_CERTS: ca, NODE_OPTIONS: fake.media.nodeOptions },
    };
    scene = await startScene({ daemon: { home, env } });
    const qr = await eventually(async () => {
      const { body } = await scene.daemon.api('GET', '/api/status');
      return /"qr":"([^"]+)"/.exec(JSON.stringify(body))?.[1];
    }, 'a QR code');
    await fake.scan(qr);
    await eventually(async () => {
      const { body } = await scene.daemon.api('GET', '/api/status');
      return /"name":"whatsapp","state":"open"/.test(JSON.stringify(body));
    }, 'whatsapp is open');
    await olga.says('/register family', { to: family });
    await fake.untilSent((sent) => sent.to === family.id);
  });
  afterAll(async () => {
    await scene.close();
    await fake.close();
  });
  const calls = () => scene.model.requests.length;
  const pictures = (count: number, caption?: string) =>
    Array.from({ length: count }, (_, at) =>
      fake.media.offer('image', png, { mimetype: 'image/png', ...(at === 1 && caption && { caption }) }),
    );
  async function answers(text: string, ask: () => Promise<unknown>) {
    scene.model.push({ text });
    await ask();
    return fake.untilSent((sent) => sent.text === text);
  }

  test('an album in a group with the name on the second picture: one question with all of them', async () => {
    const before = calls();
    await answers('that one', () => ben.sendsAlbum(pictures(4, '@Pinch which?'), { to: family }));
    expect([calls() - before, picturesIn(lastTurn(scene))]).toEqual([1, 4]);
  });

  test('one of another program, without a name, is context with all its pictures', async () => {
    const before = calls();
    await ben.sendsAlbum(pictures(2), { to: family });
    await fake.untilConfirmed();
    expect(calls()).toBe(before);
    const what = `${family.mention('me')} what was that?`;
    await answers('two dots', () => ben.says(what, { to: family, mentions: ['me'] }));
    expect(picturesIn(lastTurn(scene))).toBe(2);
  });

  test('kill -9 after its first picture: the run has all of them', async () => {
    const before = calls();
    const parts = pictures(3, 'what do they show?');
    const { id } = await olga.sendsAlbum(parts, { only: [0], encrypted: true });
    await fake.untilConfirmed();
    await scene.daemon.kill('SIGKILL');
    await olga.sendsAlbum(parts, { id, only: [1, 2], encrypted: true });
    scene.model.push({ text: 'three dots' });
    scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
    await fake.untilSent((sent) => sent.text === 'three dots');
    expect([calls() - before, picturesIn(lastTurn(scene))]).toEqual([1, 3]);
  });

  test('an edit after the answer is answered, once; the same words are not', async () => {
    let id = '';
    await answers('4', async () => {
      ({ id } = await olga.says('what is 2+2?'));
    });
    const before = calls();
    await olga.edits(id, 'what is 2+2?');
    await answers('6', () => olga.edits(id, 'what is 2+4?'));
    expect(calls() - before).toBe(1);
    expect(lastTurn(scene)).toMatch(/ replaces=\\"\d+\\".*<edited>.*2\+4/);
  });

  test('the caption of an album is corrected: one more question, without a picture that says not where it lies', async () => {
    let id: string | undefined;
    await answers('dots', async () => {
      ({
        parts: [, id],
      } = await olga.sendsAlbum(pictures(2, 'what is it?')));
    });
    const before = calls();
    await answers('black dots', () => olga.edits(id ?? '', 'what colour is it?', { of: 'caption' }));
    expect([calls() - before, picturesIn(lastTurn(scene))]).toEqual([1, 0]);
    expect(lastTurn(scene)).toContain('what colour is it?');
  });
});
