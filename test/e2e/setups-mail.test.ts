// Set-ups of README with the owner's mail (1 and 2): Dovecot and Exim behind the MCP service of the skill add-inbox in a container of its own,
// Radicale behind the service of add-calendar, a weather API that needs no key.
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Site, startSite } from '../../src/egress/testing/sites.js';
import { type MailServer, mailServerProblem, PASSWORD, startMailServer } from '../fakes/mail-server.js';
import { type CalendarServer, radicaleProblem, startRadicale } from '../fakes/radicale.js';
import { servicesOf } from '../skills/services.js';
import { commandIn, type Day, setUp, skillsIn, startDay, use } from './day.js';
import { bash } from './talk.js';

const problem = mailServerProblem() ?? radicaleProblem();
if (problem) console.log(`skipped: ${problem}`);

const root = join(import.meta.dirname, '../..');
const OLGA = 'olga@pinch.test';
const ANNA = 'anna@people.test';
const MAIL_HOST = 'mail.pinch.test';
const FEED =
  '<rss version="2.0"><channel><title>News</title><item><title>Bread from rye</title><link>http://news.example/1</link></item></channel></rss>';

describe.skipIf(problem)(`set-ups with mail${problem ? `: skipped, ${problem}` : ''}`, () => {
  let day: Day;
  let mail: MailServer;
  let calendar: CalendarServer;
  let site: Site;

  beforeAll(async () => {
    [mail, calendar] = [await startMailServer(), await startRadicale()];
    for (const address of [OLGA, ANNA]) mail.add(address);
    await calendar.add('home');
    await calendar.put('home', 'dentist.ics', eventOfToday('Dentist', '10'));
    site = await startSite(async (seen, request, response) => {
      seen.push({ line: `${request.method} ${request.url}`, rawHeaders: request.rawHeaders, body: '' });
      const isWeather = request.url?.startsWith('/v1/forecast?latitude=52.52&longitude=13.41');
      response.end(isWeather ? '{"current":{"temperature_2m":12.3}}' : FEED);
    });
    const given = {
      ...{ CALENDAR_URL: calendar.url, INBOX_ADDRESS: `Olga <${OLGA}>`, INBOX_USER: OLGA },
      ...{ INBOX_IMAP_HOST: MAIL_HOST, INBOX_SMTP_HOST: MAIL_HOST },
    };
    const applied = skillsIn(setUp(1).once(0)).flatMap((skill) => Object.entries(servicesOf(skill, given)));
    const services = Object.fromEntries(applied);
    day = await startDay({
      services: {
        ...services,
        weather: { ...weatherOfDocs(), url: `http://127.0.0.1:${site.port}/v1` },
        inbox: inOwnNetwork(services.inbox ?? {}, mail.host),
      },
      secrets: {
        ...given,
        ...{ CALENDAR_USER: calendar.user, CALENDAR_PASSWORD: calendar.password, INBOX_PASSWORD: PASSWORD },
      },
    });
    const data = join(day.home, 'data/mcp/inbox/data');
    mkdirSync(data, { recursive: true, mode: 0o700 });
    cpSync(mail.ca, join(data, 'ca.pem'));
    cpSync(join(root, 'skills/add-calendar/files/container/skills/calendar/events'), join(day.folder, 'events'));
  });
  afterAll(async () => {
    await day.close();
    site.close();
    await Promise.all([mail.close(), calendar.close()]);
  });

  const arrives = (subject: string, text: string) => {
    const id = `Message-ID: <${subject.replaceAll(' ', '-')}@people.test>`;
    const raw = `From: Anna <${ANNA}>\nTo: ${OLGA}\nSubject: ${subject}\n${id}\n\n${text}\n`;
    return mail.submit({ login: ANNA, to: OLGA, raw });
  };
  /** Ids of the mails that were found last, by their subjects. */
  const idOf = (subject: string) =>
    new RegExp(`\\{"id":"([^"]+)"[^{}]*"subject":"${subject}"`).exec(day.told().replace(/\\+"/g, '"'))?.[1] ?? '';

  test('1 · a morning brief: weather, calendar, mail and news are fetched in the container, and sent by itself', async () => {
    const { once, typed, answer } = setUp(1);
    const { model } = day.scene;
    // Its packages come from the registry.
    const said = await day.pinch(...commandIn(setUp(2).once(1)));
    for (const tool of ['search', 'draft', 'send', 'delete']) expect(said).toContain(tool);
    await arrives('The contract', 'Please look at page 3.');
    await day.ask(once(1), 'news.example');
    await day.pinch('allow', `news.example:${site.port}=127.0.0.1`);
    const asked = typed(0).replace('news.example', `news.example:${site.port}`);
    const prompt = 'Send the brief: weather in Berlin, calendar of today, new mail, news.example.';
    model.push(use('task_schedule', { title: 'Brief', prompt, cron: '0 7 * * 1-5' }), () => ({
      text: `Done. ${/Next: [^"\\]*/.exec(day.lastTurn())?.[0] ?? ''}`,
    }));
    const planned = await day.ask(asked, 'Next:');
    expect(planned.match(/(Mon|Tue|Wed|Thu|Fri) \d+ \w+ \d{4}, 07:00/g)).toHaveLength(3);
    expect(planned).toContain('Europe/Berlin');

    const weather =
      'http://127.0.0.1:8080/service/weather/forecast?latitude=52.52&longitude=13.41&current=temperature_2m';
    const today = `/workspace/events --tz Europe/Berlin list $(date +%F) $(date +%F)`;
    model.push(
      bash(`curl -sS '${weather}'; ${today}; pinch send "The brief is on its way."; pinch task list`),
      use('mcp__inbox__search', { unseen: true }),
      use('web_fetch', { url: `http://news.example:${site.port}/feed.xml` }),
      () => {
        const told = day.told().replace(/\\+"/g, '"');
        const found = (pattern: RegExp) => pattern.exec(told)?.[1];
        const degrees = found(/"temperature_2m":([\d.]+)/);
        const [at, mailed, news] = [
          found(/(10:00)[^\n]*Dentist/),
          found(/"subject":"([^"]+)"/),
          found(/(Bread from rye)/),
        ];
        return { text: `Good morning! ${degrees} °C. ${at} Dentist. Mail: ${mailed} (Anna). News: ${news}.` };
      },
    );
    await day.ask(`/task ${(await day.taskOf('Brief')).id} run`, answer(0));
    expect(day.read(day.direct)).toContain('The brief is on its way.');
    expect(day.told()).toContain('Brief: cron `0 7 * * 1-5` (Europe/Berlin), next');
    expect(day.told()).toContain('Nobody is there to answer');
    expect(day.told()).toContain(prompt);
    // In a conversation of its own: nothing of the chat's is in it. And no password is in any.
    expect(day.told()).not.toContain('every weekday at 7');
    await day.slotsDone('Brief', 1);
    expect((await day.taskOf('Brief')).slots).toMatchObject([{ state: 'done', delivery: 'sent' }]);
    expect(mail.mails(OLGA).map(({ seen }) => seen)).toEqual([false]);
    expect(await day.cards()).toEqual([]);
  });

  test('2 · an inbox: real drafts, a card before anything is deleted, nothing sent, also after a bad summary', async () => {
    const { typed, answer } = setUp(2);
    const { model } = day.scene;
    await arrives('Buy now', 'Cheap watches!');
    const wish = '- Mail: never send, only drafts; ask before deleting (Olga, 2026-11).';
    const draft = { key: 'contract-1', text: 'Dear Anna, page 3 is fine.\nOlga' };
    model.push(
      bash(`echo '${wish}' >> /workspace/CLAUDE.md`),
      use('mcp__inbox__search', {}),
      () => use('mcp__inbox__draft', { ...draft, inReplyTo: idOf('The contract') }),
      () => use('mcp__inbox__delete', { ids: [idOf('Buy now')] }),
      // So long has the conversation become.
      { text: answer(0), usage: { input_tokens: 200_000 } },
    );
    await day.ask(typed(0), answer(0));
    const card = await day.hears('delete of the MCP server inbox');
    expect(mail.mails(OLGA)).toHaveLength(2);
    expect(mail.mails(OLGA, 'Drafts')).toMatchObject([
      { raw: expect.stringMatching(/In-Reply-To: <The-contract@people\.test>[\s\S]*page 3 is fine/) },
    ]);

    // The summary forgets the wish; the memory does not.
    model.push({ text: 'nothing' }, { text: 'They talked about mail.' }, { text: answer(1) });
    day.yes(card);
    await day.hears(answer(1));
    expect(
      mail
        .mails(OLGA, 'Trash')
        .map(({ raw }) => raw)
        .join(),
    ).toContain('Cheap watches!');
    expect(day.told()).toContain('They talked about mail.');
    expect(day.told()).not.toContain(typed(0));
    expect(day.prompt()).toContain(wish);

    // And a model that forgot both still sends nothing without the owner.
    const send = { key: 'contract-2', to: [ANNA], subject: 'The contract', text: 'Sent!' };
    model.push(use('mcp__inbox__send', send), { text: 'I want to send it.' });
    await day.ask('what about Anna?', 'I want to send it.');
    const sending = await day.hears('send of the MCP server inbox');
    expect(sending.plain).toContain('Sent!');
    model.push({ text: 'Then not.' });
    day.tg.userPresses(day.direct, day.olga, sending.message_id, 'deny');
    await day.hears('Then not.');
    expect(mail.mails(ANNA)).toEqual([]);
    expect(mail.mails(OLGA, 'Sent')).toEqual([]);
    expect(mail.mails(OLGA, 'Drafts')).toHaveLength(1);
  });

  test('one card, and one more for a model that forgot; no password anywhere near a model', async () => {
    const cards = (await day.cards()).map(({ subject }) => subject).reverse();
    console.info(`cards of these set-ups: ${cards.length} ${JSON.stringify(cards)}`);
    expect(cards).toEqual(['delete of the MCP server inbox', 'send of the MCP server inbox']);
    const asked = Buffer.concat(day.scene.model.requests.map(({ raw }) => raw)).toString();
    for (const password of [PASSWORD, calendar.password]) expect(asked).not.toContain(password);
  });
});

/** The entry of docs/services.md. */
function weatherOfDocs(): Record<string, unknown> {
  const text = readFileSync(join(root, 'docs/services.md'), 'utf8');
  const block = /```json\n(\{\n {2}"weather"[\s\S]*?)\n```/.exec(text)?.[1] ?? '';
  return z.object({ weather: z.record(z.string(), z.unknown()) }).parse(JSON.parse(block)).weather;
}

/** What SKILL.md of add-inbox says about a server in the own network, with an authority of its own. */
function inOwnNetwork({ env, ...entry }: Record<string, unknown>, address: string): Record<string, unknown> {
  return {
    ...entry,
    // From where applying puts it into container/services.
    program: 'skills/add-inbox/files/container/services/inbox',
    env: { ...z.record(z.string(), z.unknown()).parse(env), NODE_EXTRA_CA_CERTS: { value: '/data/ca.pem' } },
    egress: [{ host: MAIL_HOST, ports: [993, 465], address }],
  };
}

function eventOfToday(title: string, hour: string): string {
  const day = new Date().toLocaleDateString('sv-SE', { timeZone: 'Europe/Berlin' }).replaceAll('-', '');
  const at = (time: string) => `;TZID=Europe/Berlin:${day}T${time}00`;
  return `BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//x//EN\nBEGIN:VEVENT\nUID:${title}\nDTSTAMP:${day}T000000Z\nDTSTART${at(`${hour}00`)}\nDTEND${at(`${hour}30`)}\nSUMMARY:${title}\nEND:VEVENT\nEND:VCALENDAR\n`;
}
