// The calendar as the agent has it: its program, the door to services with the skill's rules, and a real CalDAV server, Debian's Radicale.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/egress/testing/sites.js';
import { type ServicesHome, startHome } from '../../src/services/testing/home.js';
import { type CalendarServer, radicaleProblem, startRadicale } from '../fakes/radicale.js';
import { servicesOf } from '../skills/services.js';

const program = join(import.meta.dirname, '../../container/skills/calendar/events');
const problem = radicaleProblem();
if (problem) console.log(`skipped: ${problem}`);

const event = (uid: string, lines: string) =>
  `BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\nBEGIN:VEVENT\nUID:${uid}\nDTSTAMP:20270101T000000Z\n${lines}\nEND:VEVENT\nEND:VCALENDAR\n`;

describe.skipIf(problem)('the calendar', () => {
  let server: CalendarServer;
  let home: ServicesHome;

  beforeAll(async () => {
    server = await startRadicale();
    const env = `CALENDAR_USER=${server.user}\nCALENDAR_PASSWORD=${server.password}\n`;
    home = await startHome(servicesOf('add-calendar', { CALENDAR_URL: server.url }), env);
    await server.add('home');
    await server.add('work');
    await server.put(
      'home',
      'dentist.ics',
      event('a', 'DTSTART:20270111T090000Z\nDTEND:20270111T093000Z\nSUMMARY:Dentist\\, again\nLOCATION:Main\n  St 3'),
    );
    await server.put(
      'home',
      'trip.ics',
      event('b', 'DTSTART;VALUE=DATE:20270113\nDTEND;VALUE=DATE:20270115\nSUMMARY:Rome\nSTATUS:TENTATIVE'),
    );
    await server.put(
      'work',
      'weekly.ics',
      event('c', 'DTSTART:20270104T080000Z\nDTEND:20270104T083000Z\nSUMMARY:Weekly\nRRULE:FREQ=WEEKLY'),
    );
    await server.put('work', 'later.ics', event('d', 'DTSTART:20270201T080000Z\nSUMMARY:Later'));
  });
  afterAll(async () => {
    await home.end();
    await server.close();
  });

  const events = async (...args: string[]) => {
    const answer = await run('python3', [program, '--tz', 'Europe/Berlin', ...args], { HTTP_PROXY: home.proxy });
    expect(answer.out).not.toContain(server.password);
    return answer;
  };
  const approvals = () => home.store.approvals.list(null, 20);
  const yes = () => home.yesToLast();

  test('the calendars, and what is on in some days, in the zone of who asks', async () => {
    expect(await events()).toEqual({ code: 0, out: 'home  home\nwork  work\n' });
    expect(await events('list', '2027-01-11', '2027-01-17')).toEqual({
      code: 0,
      out: [
        'Mon 2027-01-04 09:00-09:30  Weekly  repeats FREQ=WEEKLY  [work/weekly.ics]',
        'Mon 2027-01-11 10:00-10:30  Dentist, again  Main St 3  [home/dentist.ics]',
        'Wed 2027-01-13 to Thu 2027-01-14  Rome  TENTATIVE  [home/trip.ics]\n',
      ].join('\n'),
    });
    expect((await events('list', '2027-01-11T10:15', '2027-01-11T11:00', 'home')).out).toContain('Dentist');
    expect((await events('list', '2027-01-11T10:30', '2027-01-11T11:00', 'home')).out).toBe('nothing\n');
    expect(approvals()).toEqual([]);
  });

  test('an event is added after a yes to all of it', async () => {
    const long = 'Größe und Länge der Bühne im großen Saal, mit den Stühlen für alle und noch etwas mehr';
    const add = ['add', 'home', 'Concert; late', '2027-03-01T20:00', '2027-03-01T22:30', '--note', `${long}\n2`];
    const asked = await events(...add);
    expect(asked).toMatchObject({ code: 1, out: expect.stringContaining("403 this needs the owner's yes") });
    expect(await server.files('home')).toHaveLength(2);
    const [card] = approvals();
    expect(JSON.stringify(card)).toContain('SUMMARY:Concert');
    expect(await yes()).toMatchObject({ state: 'done' });
    const file = (await server.files('home')).find((name) => !/dentist|trip/.test(name)) ?? '';
    const stored = (await server.read('home', file)) ?? '';
    expect(stored).toContain('DTSTART:20270301T190000Z');
    expect(stored.replace(/\r\n /g, '')).toContain(`DESCRIPTION:${long.replace(',', '\\,')}\\n2`);
    expect(Math.max(...stored.split('\r\n').map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(75);
    expect((await events('list', '2027-03-01', '2027-03-01')).out).toContain(
      'Mon 2027-03-01 20:00-22:30  Concert; late',
    );
  });

  test('what repeats stays at its hour, whole days end on the day that was said', async () => {
    await events('add', 'work', 'Standup', '2027-03-22T09:00', '2027-03-22T09:15', '--repeat', 'FREQ=DAILY;COUNT=9');
    expect(await yes()).toMatchObject({ state: 'done' });
    await events('add', 'work', 'Fair', '2027-05-03', '2027-05-05');
    expect(await yes()).toMatchObject({ state: 'done' });
    const { out } = await events('list', '2027-03-22', '2027-05-31', 'work');
    expect(out).toContain('Mon 2027-03-22 09:00-09:15  Standup  repeats FREQ=DAILY;COUNT=9');
    expect(out).toContain('Mon 2027-05-03 to Wed 2027-05-05  Fair');
  });

  test('an event is changed and deleted as it was read, not as somebody else made it since', async () => {
    const { out } = await events('show', 'home/dentist.ics');
    const etag = out.split('\n')[0] ?? '';
    expect(out).toContain('SUMMARY:Dentist\\, again');
    await server.put('home', 'dentist.ics', event('a', 'DTSTART:20270112T090000Z\nSUMMARY:Dentist'));
    await events('delete', 'home/dentist.ics', etag);
    expect((await yes())?.result).toContain('412');
    expect(await server.read('home', 'dentist.ics')).toContain('20270112');
    const fresh = (await events('show', 'home/dentist.ics')).out.split('\n')[0] ?? '';
    await events('delete', 'home/dentist.ics', fresh);
    expect(await yes()).toMatchObject({ state: 'done' });
    expect(await server.files('home')).not.toContain('dentist.ics');
  });

  test('no calendar is deleted, made or opened to others, whatever anybody says', async () => {
    const before = approvals().length;
    const base = `${home.base}/calendar`;
    for (const [method, path] of [
      ['DELETE', '/home/'],
      ['DELETE', '/home'],
      ['DELETE', '/'],
      ['MKCALENDAR', '/new/'],
      ['POST', '/home/'],
    ])
      expect(await home.curl('-X', method ?? '', `${base}${path}`), `${method} ${path}`).toContain(
        "the owner's rules do not allow",
      );
    expect(approvals()).toHaveLength(before);
  });

  test('what an invitation says taints, and the calendar is read on all the same', async () => {
    expect(home.store.taints.of('s')).toMatchObject({ source: 'the service calendar' });
    expect(await events('list', '2027-01-13', '2027-01-13')).toMatchObject({ code: 0 });
    expect((await events('show', 'home/none.ics')).out).toContain('404');
  });
});
