// A home in which something of everything happened, with names and texts that mean no good: what the pages of the control room show.
import type { PageFixture } from './page-fixture.js';

/** Turns text around, looks like HTML, has no place to break. */
export const HOSTILE = `<img src=x onerror=alert(1)> \u202egnp.exe\u2066 ${'W'.repeat(300)}`;
const HOUR_MS = 3_600_000;

export type Seeded = ReturnType<typeof seedControlRoom>;

export function seedControlRoom({ store, intake, tasks, approvals, deps }: PageFixture) {
  const now = deps.clock.now();
  const family = store.groups.ensure('family', false, now);
  const seen = (address: string, title: string) =>
    store.groups.seenChat({ channel: 'telegram', address, kind: 'group', title, now });
  const unregistered = seen('-100', 'Family & friends');
  store.groups.assignChat(unregistered.id, family.id);
  const chat = { ...unregistered, groupId: family.id };
  store.groups.setSenders(chat.id, 'listed', ['@anna', '4711']);
  const strange = seen('-200', HOSTILE);
  intake.receiveFromPage('Summarise my inbox and tell me what matters');

  /** Takes the waiting run, and returns what works on it. */
  const claim = () => {
    const run = store.runs.claim({ holder: 'test', now: deps.clock.now(), excludeGroups: [] });
    if (!run) throw new Error('no run is ready');
    return run;
  };
  const call = (runId: number | null, model: string, costMicroUsd: number, at = now) =>
    store.usage.record(
      {
        ...{
          groupId: store.runs.get(runId ?? 0)?.groupId ?? family.id,
          runId,
          at,
          model,
          costMicroUsd,
          estimated: false,
        },
        ...{ inputTokens: 1_200, outputTokens: 480, cacheReadTokens: 18_000, cacheWrite5mTokens: 0 },
        ...{ cacheWrite1hTokens: 0, status: 200, stopReason: 'tool_use', durationMs: 4_300, firstByteMs: 900 },
        requestId: null,
      },
      new Date(at).toISOString().slice(0, 10),
    );
  const tool = (runId: number, id: string, name: string, input: string, output: string) => {
    store.events.add(runId, now, 'tool_started', { tool: name, id, input });
    store.events.add(runId, now + 900, 'tool_finished', {
      id,
      ok: !output.startsWith('Error'),
      durationMs: 900,
      output,
    });
  };

  const done = claim();
  store.events.add(done.id, now, 'claimed', { attempt: 1 });
  store.events.add(done.id, now, 'handed_over', { container: 'pinch-1a2b-main-9f8e' });
  call(done.id, 'claude-sonnet-5-5', 18_400);
  tool(done.id, 'a', 'bash', JSON.stringify({ command: 'ls -la inbox | head' }), 'total 12\nmail-1.eml\nmail-2.eml');
  tool(done.id, 'b', 'read', JSON.stringify({ path: 'inbox/mail-1.eml' }), `${HOSTILE}\n${'x'.repeat(3_000)}`);
  tool(done.id, 'c', 'web_fetch', JSON.stringify({ url: 'https://example.com/' }), 'Error: 403');
  const egress = { host: 'example.com', port: 443, why: 'the owner named it', bytesUp: 300, bytesDown: 9_000 };
  store.events.add(done.id, now, 'egress', { ...egress, verdict: 'allowed', durationMs: 240 });
  store.events.add(done.id, now, 'egress', { ...egress, host: 'evil.example', verdict: 'refused', durationMs: 3 });
  call(done.id, 'claude-sonnet-5-5', 22_100, now + 5_000);
  store.outbox.add({ key: `${done.id}:end:1`, chatId: done.chatId, runId: done.id, text: 'Two mails matter.', now });
  store.events.add(done.id, now, 'finished', { outcome: 'done' });
  store.runs.finish({ id: done.id, holder: 'test', attempt: 1 }, 'done', now + 12_000);

  intake.receiveFromPage('Book the table for eight');
  const dead = claim();
  call(dead.id, 'claude-haiku-4-5', 900);
  const error = 'the model back end answered 500 twelve times';
  store.events.add(dead.id, now, 'attempt_failed', { errorClass: 'overloaded', message: error, next: 'dead' });
  store.runs.dead({ id: dead.id, holder: 'test', attempt: 1 }, { errorClass: 'overloaded', error, now: now + 60_000 });

  intake.receiveFromPage(HOSTILE);
  const working = claim();
  store.events.add(working.id, now, 'tool_started', { tool: 'bash', id: 'd', input: '{"command":"sleep 60"}' });

  const web = store.groups.chat(done.chatId) ?? chat;
  const brief = tasks.add({ prompt: 'Send me the morning brief.', title: 'Morning brief', cron: '0 7 * * 1-5' }, web);
  const often = tasks.add({ prompt: 'Look at the heating.', title: HOSTILE, every: '30m' }, chat);
  tasks.change(tasks.add({ prompt: 'Water the plants', every: '2d' }, chat), { action: 'pause' });
  const slot = { taskId: brief.id, now };
  store.tasks.addSlot({ ...slot, slotAt: now - 48 * HOUR_MS, state: 'done', runId: done.id });
  store.tasks.addSlot({
    ...slot,
    slotAt: now - 24 * HOUR_MS,
    state: 'missed',
    detail: 'this machine was off',
    count: 3,
  });
  for (const day of [1, 2, 3, 5, 8, 13, 21]) call(null, 'claude-sonnet-5-5', day * 91_000, now - day * 24 * HOUR_MS);

  const asked = (subject: string, text: string) =>
    approvals.askToSend({ groupId: web.groupId ?? 1, startedAt: 0, onWork: () => undefined }, working, {
      chat: { ...chat, title: subject },
      name: `${chat.id}`,
      text,
    });
  asked('Family & friends', `See you at eight.\n${HOSTILE}`);
  store.egress.put({ groupId: family.id, host: 'example.com', ports: null, address: null, until: null, now });
  return { done: done.id, dead: dead.id, working: working.id, brief: brief.id, often: often.id, strange: strange.id };
}
