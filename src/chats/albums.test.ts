import { beforeEach, describe, expect, test } from 'vitest';
import type { InboundMessage } from '../channels/channel.js';
import { type Scene, startScene } from './testing/scene.js';

let scene: Scene;
beforeEach(() => {
  scene = startScene();
});

const picture = { kind: 'image' as const, fileName: 'a.jpg', mimeType: 'image/jpeg', sizeBytes: 1, ref: 'r' };
/** One picture of Ben's album. */
const part = (text: string, more: Parameters<Scene['say']>[1] = {}) =>
  scene.say(text, { from: '2', media: [picture], album: { id: 'a1' }, ...more });
const runAfter = (ms: number) => {
  void scene.clock.advance(ms);
  return scene.claim();
};

describe('an album in a group is one question, whichever of its pictures calls', () => {
  const calls: [string, Partial<InboundMessage>][] = [
    ['the name in the caption', { text: '@Pinch what is this?' }],
    ['a native mention', { text: 'what is this?', addressesAssistant: true }],
    ['a reply to the assistant', { addressesAssistant: true }],
  ];
  const table = calls.flatMap(([how, call]) => [0, 1, 3].map((which) => [how, which, call] as const));

  test.each(table)('%s, on picture %d of 4', (_how, which, call) => {
    for (let index = 0; index < 4; index++) part(`p${index}`, index === which ? { ...call } : {});
    expect(runAfter(1_000)).toBeUndefined();
    const run = runAfter(600);
    expect(scene.store.messages.ofRun(run?.id ?? 0).map((row) => row.media.length)).toEqual([1, 1, 1, 1]);
    expect(scene.runs()).toHaveLength(1);
  });

  test.each([1, 2, 3])('the run is claimed after %d pictures: the others are steered in', (before) => {
    const ids = [0, 1, 2, 3].map((index) => {
      if (index === before) expect(runAfter(2_000)).toBeDefined();
      return part(index === 0 ? '@Pinch p0' : `p${index}`).runId;
    });
    expect(new Set(ids)).toEqual(new Set([scene.runs()[0]?.id]));
    expect(scene.texts(ids[0])).toEqual(['@Pinch p0', 'p1', 'p2', 'p3']);
  });

  test('one that comes after the answer is worked on too', () => {
    part('@Pinch p0');
    scene.finish(runAfter(2_000));
    const late = part('p1');
    expect(scene.texts(late.runId)).toEqual(['p1']);
  });

  test('the same update twice is one picture', () => {
    part('@Pinch p0', { platformId: '7' });
    const { runId } = part('p1', { platformId: '8' });
    expect(part('p1', { platformId: '8' })).toEqual({ messageId: undefined, runId: undefined });
    expect(scene.texts(runId)).toEqual(['@Pinch p0', 'p1']);
  });
});

describe('an album that nobody calls us in', () => {
  test('starts nothing, and is context with all its pictures', () => {
    for (const text of ['a', 'b', 'c']) expect(part(text).runId).toBeUndefined();
    const { runId } = scene.say('@Pinch what was that?');
    expect(scene.texts(runId)).toEqual(['a', 'b', 'c', '@Pinch what was that?']);
  });

  test('in the middle of which somebody else asks: its rest goes to that run, and starts none when that is over', () => {
    part('a');
    const { runId } = scene.say('@Pinch what is that?');
    expect(part('b').runId).toBe(runId);
    const run = runAfter(2_000);
    expect(part('c').runId).toBe(runId);
    scene.finish(run);
    expect(part('d').runId).toBeUndefined();
    expect(scene.texts(runId)).toEqual(['a', '@Pinch what is that?', 'b', 'c']);
  });

  test.each<[string, Parameters<Scene['say']>[1]]>([
    ['of somebody else under the same name', { from: '3' }],
    ['of another album', { album: { id: 'a2' } }],
    ['of no album', { album: undefined }],
    ["of the assistant's own account", { contextOnly: true }],
  ])('a picture %s does not belong to it', (_name, more) => {
    part('@Pinch p0');
    expect(part('x', more).runId).toBeUndefined();
  });

  test('who may not ask does not get in with an album', () => {
    scene.say('/register family listed 9');
    part('@Pinch p0');
    part('p1');
    expect(scene.runs()).toEqual([]);
  });

  test('what was stopped does not start again with the next picture', () => {
    part('@Pinch p0');
    scene.say('/stop', { from: '1' });
    expect(part('p1').runId).toBeUndefined();
  });

  test('a forwarded one is context in a group, and marked in a direct chat, where it is never a command', () => {
    expect(part('@Pinch p0', { forwarded: true }).runId).toBeUndefined();
    for (const text of ['/stop', 'p1']) part(text, { from: '1', direct: true, forwarded: true });
    const run = runAfter(2_000);
    const rows = scene.store.messages.ofRun(run?.id ?? 0);
    expect(rows.map(({ text, forwarded }) => [text, forwarded])).toEqual([
      ['/stop', true],
      ['p1', true],
    ]);
  });
});

describe('how long a run waits for the rest', () => {
  const direct = { from: '1', direct: true };
  const announced = (size: number) => part(`[album: ${size}]`, { ...direct, media: [], album: { id: 'a1', size } });

  test('an announced number: until it is there, and then not a moment longer', () => {
    announced(2);
    part('p1', direct);
    expect(runAfter(4_000)).toBeUndefined();
    part('p2', direct);
    expect(runAfter(0)).toBeDefined();
  });

  test.each([
    ['a missing picture is not waited for longer than 10 s', 3, 10_000],
    ['a number that nobody could send neither', 100, 10_000],
  ])('%s', (_name, size, ms) => {
    announced(size);
    part('p1', direct);
    expect(runAfter(ms - 1)).toBeUndefined();
    expect(runAfter(1)).toBeDefined();
  });

  test('who goes on sending is answered after 20 s', () => {
    const { runId } = part('p0', direct);
    for (let second = 1; second < 20; second++) {
      expect(runAfter(1_000)).toBeUndefined();
      part(`p${second}`, direct);
    }
    expect(runAfter(1_000)?.id).toBe(runId);
  });

  test('words after the pictures neither hurry it nor hold it up; a retry is brought forward', () => {
    const { runId } = part('p0', direct);
    scene.say('what is this?', direct);
    expect(runAfter(1_000)).toBeUndefined();
    const run = runAfter(500);
    const lease = { id: run?.id ?? 0, holder: 'w', attempt: 1 };
    const runAt = scene.clock.now() + 1e6;
    scene.store.runs.giveBack(lease, { runAt, counted: true, errorClass: 'network', error: 'x' });
    part('p1', direct);
    expect(runAfter(1_500)?.id).toBe(runId);
  });

  test('after a start the rest may still have to be fetched: an album waits a moment, other runs do not', () => {
    const { runId } = part('p0', direct);
    const other = scene.say('@Pinch hi', { from: '2' });
    void scene.clock.advance(60_000);
    scene.store.runs.releaseForeignLeases('w', scene.clock.now());
    expect(scene.claim()?.id).toBe(other.runId);
    expect(runAfter(9_900)).toBeUndefined();
    expect(runAfter(100)?.id).toBe(runId);
  });

  test('a clock that was set back holds nothing up for longer than 20 s', () => {
    part('p0', direct);
    const { runId } = part('p1', direct);
    const now = scene.clock.now() - 3_600_000;
    scene.store.runs.makeDue(runId ?? 0, now, null);
    expect(scene.store.runs.get(runId ?? 0)?.runAt).toBe(now + 20_000);
  });
});
