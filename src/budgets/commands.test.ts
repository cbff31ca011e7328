// /budget and /cost, and the same over the API.
import { beforeEach, describe, expect, test } from 'vitest';
import { startPageFixture } from '../../test/e2e/page-fixture.js';
import { createFakeClock } from '../../test/fakes/clock.js';
import { createHome, type Home, spend, USD } from './testing/home.js';

let home: Home;
beforeEach(() => {
  home = createHome();
  home.group('family');
});
const say = (text: string, chat = home.chat, byOwner = true): string => {
  const [, name, argument = ''] = /^\/(\w+)\s*(.*)$/.exec(text) ?? [];
  return (
    home.commands
      .find(({ usage }) => usage.split(' ')[0] === `/${name}`)
      ?.answer({ chat, argument, messageId: 1, byOwner, senderId: 1 }) ?? 'no such command'
  );
};
const refusal = (costUsd: number, folder = 'main') => {
  const answer = home.ledger.reserve(home.call(costUsd * USD, { folder }));
  if ('status' in answer) return answer.message;
  answer.settle(home.call(0, { folder }));
  return 'fits';
};

describe('/budget', () => {
  test('shows each cap, what is spent and left, and until when; the main group sees every group', () => {
    spend(home, 0.4 * USD);
    expect(say('/budget').split('\n')).toEqual([
      '- the budget of this month: $0.40 of $10.00 spent, $9.60 left, until Tue 1 Dec 2026, 00:00',
      '- the budget of today for all groups: $0.40 of $2.00 spent, $1.60 left, until Sun 22 Nov 2026, 00:00',
      '- the budget of today for group `main`: $0.40 of $1.00 spent, $0.60 left, until Sun 22 Nov 2026, 00:00',
      '- the budget of today for group `family`: $0.00 of $1.00 spent, $1.00 left, until Sun 22 Nov 2026, 00:00',
      '- the limit for one piece of work: $0.50',
    ]);
  });

  test('an amount changes a cap for good, also for the next process; default takes it back', () => {
    expect(refusal(1.5)).toContain('of today for group `main` is used up');
    expect(say('/budget 1.50')).toContain('for group `main`: $0.00 of $1.50');
    expect(refusal(1.5)).toBe('fits');
    expect(refusal(1.5, 'family')).toContain('of today for group `family`');
    expect(say('/budget family $1,50')).toContain('for group `family`: $0.00 of $1.50');
    expect(say('/budget day 1')).toContain('for all groups: $0.00 of $1.00');
    Object.assign(home, home.restart());
    expect(refusal(1.5)).toContain('of today for all groups is used up');
    say('/budget day default');
    expect(refusal(1.5)).toBe('fits');
    say('/budget month 1');
    expect(refusal(1.5)).toContain('The budget of this month');
    expect(say('/budget run 3')).toContain('piece of work: $3.00');
  });

  test('today: until midnight in the owner’s zone', () => {
    say('/budget 1.50 today');
    expect(refusal(1.5)).toBe('fits');
    home.clock.set(Date.parse('2026-11-21T22:59:59Z'));
    expect(refusal(1.5)).toBe('fits');
    home.clock.set(Date.parse('2026-11-21T23:00:00Z'));
    expect(refusal(1.5)).toContain('of today for group `main`');
    expect(say('/budget month 5 today')).toMatch(/month cannot be changed for today alone/);
    expect(say('/budget run 5 today')).toMatch(/leave it out/);
  });

  test('this month: until its end, whatever is changed for days meanwhile', () => {
    expect(say('/budget month 50 this month')).toContain('of this month: $0.00 of $50.00');
    say('/budget 1.50 today');
    home.clock.set(Date.parse('2026-11-30T22:59:59Z'));
    expect(say('/budget day 3 today')).toContain('of this month: $0.00 of $50.00');
    home.clock.set(Date.parse('2026-11-30T23:00:00Z'));
    expect(say('/budget')).toContain('of this month: $0.00 of $10.00');
  });

  test.each([
    ['/budget $3', 'main', 3],
    ['/budget 3,50', 'main', 3.5],
    ['/budget 3.5 USD', 'main', 3.5],
    ['/budget usd 3', 'main', 3],
    ['/budget US$3 today.', 'main', 3],
    ['/budget 3$ today', 'main', 3],
    ['/budget Family 3 dollars', 'family', 3],
    ['/budget 3 family today', 'family', 3],
    ['/budget family=0.125', 'family', 0.125],
    ['/budget 0', 'main', 0],
  ])('%s is understood', (text, folder, usd) => {
    expect(say(text)).toContain(`for group \`${folder}\`: $0.00 of $${usd.toFixed(2)}`);
  });

  test.each(['1,000', '1.000 today', 'family 12.500'])('%s may be two amounts: nothing is changed', (amount) => {
    expect(say(`/budget ${amount}`)).toMatch(/^Is 1.*Write 1/);
    expect(refusal(1)).toBe('fits');
    expect(refusal(1.1)).not.toBe('fits');
  });

  test('what is said for good counts at once, whatever was said for today', () => {
    say('/budget 0.10 today');
    expect(refusal(0.5)).toContain('used up');
    say('/budget 0.80');
    expect(refusal(0.5)).toBe('fits');
  });

  test('groups that wait for a budget try again at once', () => {
    const { id } = home.group('family');
    home.store.groups.park(id, 'budget', home.clock.now() + 86_400_000);
    let ready = 0;
    home.signals.on('run:ready', () => {
      ready += 1;
    });
    say('/budget family 3');
    expect(home.store.groups.get(id)).toMatchObject({ parkedUntil: home.clock.now() });
    expect(ready).toBe(1);
  });

  test.each([
    '/budget lots',
    '/budget day',
    '/budget day -1',
    '/budget 1e9',
    '/budget ten',
    '/budget -1',
    '/budget 1.2.3',
    '/budget 10 20 30',
    '/budget €10',
    '/budget 9999999',
    '/budget NaN',
    '/budget today',
    '/budget $',
    '/budget day 5 tomorrow',
  ])('%s is explained', (text) => {
    expect(say(text)).toMatch(/^Write `\/budget`/);
    expect(refusal(1)).toBe('fits');
  });

  test('a group that is not there is named', () => {
    expect(say('/budget nobody 5')).toContain('there is no group "nobody"');
  });

  test('only the owner may use it; the costs are for members, of their own group', () => {
    const rights = home.commands.map(({ usage, forMembers }) => [usage.split(' ')[0], forMembers]);
    expect(Object.fromEntries(rights)).toEqual({ '/budget': undefined, '/cost': true, '/continue': undefined });
  });
});

describe('/cost', () => {
  test('by group, model, task and day; a group sees its own only', () => {
    home.clock.set(Date.parse('2026-11-20T09:00:00Z'));
    spend(home, 0.3 * USD, { folder: 'family' });
    home.clock.set(Date.parse('2026-11-21T09:00:00Z'));
    spend(home, 0.2 * USD);
    const text = [
      '**Today** $0.20 in 1 model calls, **this month** $0.50 in 2.',
      ...['**By group, this month**', '- `family`: $0.30, today $0.00', '- `main`: $0.20, today $0.20'],
      ...['**By model, this month**', '- `m`: $0.50, today $0.20'],
      ...['**By task, this month**', '- conversations: $0.50, today $0.20'],
      ...['**By day**', '- Sat 21 Nov: $0.20', '- Fri 20 Nov: $0.30'],
    ];
    expect(say('/cost').split('\n')).toEqual(text);
    // Somebody else in a chat of the main group.
    expect(say('/cost', home.chat, false)).toContain('**By group, this month**\n- `main`: $0.20, today $0.20\n');
    expect(say('/cost', home.chat, false)).not.toContain('family');
    const chat = home.store.groups.seenChat({
      channel: 'telegram',
      address: '-1',
      kind: 'group',
      title: 'Family',
      now: 1,
    });
    home.store.groups.assignChat(chat.id, home.group('family').id);
    expect(say('/cost', { ...chat, groupId: home.group('family').id })).toContain(
      '**By group, this month**\n- `family`: $0.30, today $0.00\n',
    );
  });
});

test('the API shows and changes budgets, and refuses what is none', async () => {
  const page = await startPageFixture({ clock: createFakeClock() });
  try {
    page.store.groups.ensure('main', true, 1);
    const caps = (body: object) => page.api('POST', '/api/budgets', body);
    expect(await caps({ name: 'day', usd: 20 })).toMatchObject({
      status: 200,
      body: {
        timeZone: 'UTC',
        caps: expect.arrayContaining([expect.objectContaining({ name: 'day', limitMicroUsd: 20_000_000 })]),
      },
    });
    expect(await page.api('GET', '/api/budgets')).toMatchObject({
      body: { run: { limitMicroUsd: 2_000_000 }, heldChats: [], text: expect.stringContaining('$0.00 of $20.00') },
    });
    expect(await caps({ name: 'day', usd: null })).toMatchObject({
      body: { text: expect.stringContaining('of $10.00') },
    });
    expect(await caps({ name: 'group', group: 'nobody', usd: 1 })).toMatchObject({ status: 404 });
    expect(await caps({ name: 'month', usd: 1, today: true })).toMatchObject({ status: 400 });
    for (const bad of [
      { name: 'day', usd: -1 },
      { name: 'year', usd: 1 },
      { name: 'day', usd: '5' },
    ])
      expect((await caps(bad)).status).toBe(400);
    expect(await page.api('POST', '/api/chats/1/continue')).toMatchObject({ status: 404 });
  } finally {
    await page.close();
  }
});
