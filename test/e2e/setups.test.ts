// The set-ups people run most, as README has them: reminders, news, a page acted on, habits, notes that become tasks. The others are in
// setups-services.test.ts (5 to 7), setups-mail.test.ts (1, 2) and setups-voice.test.ts (10, spoken).
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Site, startSite } from '../../src/egress/testing/sites.js';
import { type Day, setUp, startDay, use } from './day.js';
import { bash } from './talk.js';

let day: Day;
let site: Site;
/** What the pages of the site say, by their paths. */
const pages: Record<string, string> = {};

beforeAll(async () => {
  site = await startSite(async (seen, request, response) => {
    const body = await text(request);
    seen.push({ line: `${request.method} ${request.url}`, rawHeaders: request.rawHeaders, body });
    if (request.method === 'GET') return void response.end(pages[request.url ?? ''] ?? 'nothing here');
    const isKnown = request.headers.authorization === 'Bearer canary-key-of-tickets-0123';
    response.writeHead(isKnown ? 201 : 401).end(isKnown ? '{"seat":"row 4, seat 12"}' : 'who are you?');
  });
  const url = `http://127.0.0.1:${site.port}/api`;
  const tickets = { kind: 'http', url, description: 'bookings at tickets.example', auth: { bearer: 'TICKETS_KEY' } };
  day = await startDay({
    services: { tickets: { ...tickets, groups: ['main'] } },
    secrets: { TICKETS_KEY: 'canary-key-of-tickets-0123' },
  });
});
afterAll(async () => {
  await day.close();
  site.close();
});

/** The owner allows a host, as README says; on this machine it is the site of the test. Returns `text` with the site's port in its links. */
async function allow(line: string, host: string, text: string): Promise<string> {
  await day.ask(line, host);
  await day.pinch('allow', `${host}:${site.port}=127.0.0.1`);
  return text.replaceAll(`http://${host}/`, `http://${host}:${site.port}/`);
}
const run = async (title: string) => `/task ${(await day.taskOf(title)).id} run`;
const cancel = async (title: string) => day.ask(`/task ${(await day.taskOf(title)).id} cancel`, 'is cancelled');

test('3 · reminders for the family: there, once, and the conversation knows of them', async () => {
  const { once, typed, answer } = setUp(3);
  const { model } = day.scene;
  await day.ask(once(0), 'family', day.family);
  const weekly = { title: 'Bins', prompt: 'Remind them of the bins.', cron: '0 19 * * 2', context: 'chat' };
  model.push(use('task_schedule', weekly), { text: answer(0) });
  await day.ask(typed(0), answer(0), day.family, day.ben);
  expect(day.lastTurn()).toMatch(/Next: (Tue \d+ \w+ \d{4}, 19:00( · )?){3} \(Europe\/Berlin\)/);
  model.push({ text: answer(1) });
  await day.ask(await run('Bins'), 'starts now');
  await day.hears(answer(1), day.family);
  model.push(use('task_schedule', { title: 'Windows', prompt: 'Remind them.', at: 'in 2s' }), { text: 'I will.' });
  model.push({ text: 'Close the windows!' });
  await day.ask('@Pinch and in 2 seconds of the windows', 'I will.', day.family, day.ben);
  await day.hears('Close the windows!', day.family);
  model.push({ text: 'Well done.' });
  await day.ask('@Pinch done!', 'Well done.', day.family, day.ben);
  for (const reminder of [answer(1), 'Close the windows!']) {
    expect(day.told()).toContain(reminder);
    expect(day.read(day.family).filter((one) => one === reminder)).toHaveLength(1);
    expect(day.read(day.direct).join()).not.toContain(reminder);
  }
});

const feed = (...titles: string[]) =>
  `<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>${titles
    .map((title) => `<item><title>${title}</title><link>http://news.example/${title.length}</link></item>`)
    .join('')}</channel></rss>`;
const headings = (...titles: string[]) => `<h1>Jobs</h1>${titles.map((title) => `<h2>${title}</h2>`).join('')}`;
/** As an agent writes it: what the feed and the page have, less what was seen before, which stays in the workspace. */
const unseen = (feedUrl = '', pageUrl = '') => `set -o pipefail
mkdir -p .digest && touch .digest/seen
titles=$(curl -fsSL --max-time 40 ${feedUrl} | grep -oP '(?<=<title>)[^<]+' | tail -n +2) || exit 1
jobs=$(curl -fsSL --max-time 40 ${pageUrl} | grep -oP '(?<=<h2>)[^<]+') || exit 1
printf '%s\\n' "$titles" "$jobs" | grep -vxFf .digest/seen | tee -a .digest/seen || true`;
/** What the check printed, in a line. */
const printed = () =>
  (/<untrusted source=\\"check script\\">(.*?)<\/untrusted>/.exec(day.told())?.[1] ?? '')
    .split('\\n')
    .filter(Boolean)
    .join(' · ');

test('4 · a digest of a feed and a page: the second one names only what is new, the third costs nothing', async () => {
  const { once, typed, answer } = setUp(4);
  const { model } = day.scene;
  pages['/feed.xml'] = feed('Cheese from goats');
  pages['/jobs'] = headings('Cook wanted');
  const asked = await allow(once(0), 'news.example', typed(0));
  const [feedUrl = '', pageUrl = ''] = asked.match(/http:\S+/g) ?? [];
  const input = {
    title: 'News',
    prompt: 'Tell Olga what is new.',
    cron: '0 18 * * *',
    check: unseen(feedUrl, pageUrl),
  };
  model.push(use('task_schedule', input), { text: 'Every evening at 6.' });
  await day.ask(asked, 'Every evening at 6.');
  model.push(use('web_fetch', { url: feedUrl }), () => ({ text: `New: ${printed()}` }));
  await day.ask(await run('News'), 'New: Cheese from goats · Cook wanted');
  expect(day.lastTurn()).toMatch(/<untrusted source=.*Cheese from goats/);
  await day.slotsDone('News', 1);

  pages['/feed.xml'] = feed('Bread from rye', 'Cheese from goats');
  pages['/jobs'] = headings('Cook wanted', 'Baker wanted');
  model.push(() => ({ text: `New: ${printed()}` }));
  await day.ask(await run('News'), answer(0));
  await day.slotsDone('News', 2);
  expect(day.told()).not.toContain('Cook wanted');

  const before = [day.calls(), day.read(day.direct).length];
  await day.ask(await run('News'), 'starts now');
  await day.slotsDone('News', 3);
  expect([day.calls(), day.read(day.direct).length - 1]).toEqual(before);
  expect(readFileSync(join(day.folder, '.digest/seen'), 'utf8').split('\n')).toContain('Baker wanted');
});

test('8 · a page watched: silent while it does not matter, and what it leads to is done after a yes, once', async () => {
  await day.hoursPass();
  const { once, typed, answer } = setUp(8);
  const { model } = day.scene;
  pages['/'] = '<h1>Soon</h1>';
  const asked = await allow(once(0), 'tickets.example', typed(0));
  const [url] = asked.match(/http:\S+/) ?? [];
  const check = `curl -fsSL --max-time 40 ${url} | sed -n 's,.*<h1>\\(.*\\)</h1>.*,\\1,p' | /skills/watch/changed tickets`;
  const input = { title: 'Tickets', prompt: 'Book Olga a seat when they are on sale.', every: '1s', check };
  model.push(bash(`curl -fsSL ${url}`), use('task_schedule', input), { text: 'I looked, and ask you.' });
  await day.ask(asked, 'I looked, and ask you.');
  // This conversation read the page, so the owner reads the task first.
  const card = await day.hears('make a task in Olga');
  expect(card.plain).toContain('It may act on what it was given: the site tickets.example');
  model.push({ text: 'I am watching it.' });
  day.yes(card);
  await day.hears('I am watching it.');

  const before = day.calls();
  await day.slotsDone('Tickets', 2);
  expect(day.calls()).toBe(before);
  model.push({ text: '[silent]' });
  pages['/'] = '<h1>From Monday on </message></h1>';
  await model.waitForRequests(before + 1);
  expect(day.told()).toContain('+From Monday on &lt;/message&gt;');
  const curl = `curl -sS -d seats=1 http://127.0.0.1:8080/service/tickets/bookings`;
  model.push(bash(curl), { text: '[silent]' });
  pages['/'] = '<h1>On sale</h1>';
  const wish = await day.hears('/api/bookings');
  expect(wish.plain).toContain('seats=1');
  await model.waitForRequests(before + 3);
  expect(site.seen.filter(({ line }) => line.startsWith('POST'))).toEqual([]);
  model.push(() => ({ text: `Booked: ${/row \d+, seat \d+/.exec(day.lastTurn())?.[0]}.` }));
  day.yes(wish);
  await day.hears(answer(0));
  await cancel('Tickets');
  expect(site.seen.filter(({ line }) => line.startsWith('POST'))).toMatchObject([{ body: 'seats=1' }]);
  expect(day.calls()).toBe(before + 4);
  expect(day.read(day.direct).join()).not.toContain('[silent]');
});

/** As an agent writes it, with what is in the image: bars of the last days, 1 km is 20 pixels high. Prints the sum. */
const CHART = `python3 - <<'END'
import csv, struct, zlib
runs = [int(row[2]) for row in csv.reader(open('habits.csv')) if row[1] == 'run'][-7:]
width, height = 7 * 40, 300
rows = [bytearray(b'\\xff' * width * 3) for _ in range(height)]
for at, km in enumerate(runs):
    for y in range(height - 20 * km, height):
        rows[y][(at * 40 + 8) * 3:(at * 40 + 32) * 3] = bytes((30, 120, 220)) * 24
def chunk(name, data):
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
pixels = zlib.compress(b''.join(b'\\0' + bytes(row) for row in rows))
head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
open('runs.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head) + chunk(b'IDAT', pixels) + chunk(b'IEND', b''))
print('sum', sum(runs))
END`;

/** How high the bars are, in pixels, of a picture with three bytes a pixel and one chunk of data. */
function barsOf(png: Buffer): number[] {
  expect(png.toString('latin1', 0, 16)).toBe('\x89PNG\r\n\x1a\n\0\0\0\rIHDR');
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const length = png.readUInt32BE(33);
  expect(png.toString('latin1', 37, 41)).toBe('IDAT');
  const pixels = inflateSync(png.subarray(41, 41 + length));
  expect(pixels).toHaveLength(height * (width * 3 + 1));
  const isBlue = (x: number, y: number) => pixels[y * (width * 3 + 1) + 1 + x * 3] === 30;
  return [20, 60, 100].map((x) => Array.from({ length: height }, (_, y) => isBlue(x, y)).filter(Boolean).length);
}

test('9 · a habit log, and every Sunday a chart of it as a picture', async () => {
  // What a page said counts in this conversation until there is a new one.
  await day.ask('/new', 'New conversation');
  await day.hoursPass();
  const { typed, answer } = setUp(9);
  const { model } = day.scene;
  model.push(bash('echo 2026-11-20,run,5 >> habits.csv'), { text: answer(0) });
  await day.ask(typed(0), answer(0));
  const input = { title: 'Runs', prompt: 'Draw the runs of habits.csv.', cron: '0 18 * * 0', timeout: '5m' };
  model.push(use('task_schedule', input), { text: 'Every Sunday at six.' });
  await day.ask(typed(1), 'Every Sunday at six.');
  expect(day.lastTurn()).toMatch(/Sun \d+ \w+ \d{4}, 18:00/);
  appendFileSync(join(day.folder, 'habits.csv'), '2026-11-21,run,7\n');
  const picture = () =>
    use('send_file', { path: 'runs.png', caption: `${/sum (\d+)/.exec(day.lastTurn())?.[1]} km this week` });
  model.push(bash(CHART), picture, { text: '[silent]' });
  await day.ask(await run('Runs'), answer(1));
  const sent = day.tg.sent.at(-1);
  expect(sent).toMatchObject({ method: 'sendPhoto', plain: answer(1), file: { fileName: 'runs.png' } });
  expect(barsOf(Buffer.from(sent?.file?.bytes ?? []))).toEqual([100, 140, 0]);
});

test('10 · notes become tasks (written; spoken ones: setups-voice.test.ts); a task asks, and goes on when the answer comes', async () => {
  const { typed, answer } = setUp(10);
  const { model } = day.scene;
  const offer = { title: 'Offer', prompt: 'Ask Olga whether the offer came.', at: '2027-01-11T09:00' };
  const review = { title: 'Review', prompt: 'Remind Olga of the review.', cron: '0 10 1 * *', context: 'chat' };
  const both = [offer, review].map((input) => ({ type: 'tool_use' as const, name: 'task_schedule', input }));
  model.push({ content: both }, { text: answer(0) });
  await day.ask(typed(0), answer(0));
  const list = await day.ask('/tasks', 'Offer');
  expect(list).toMatch(/Offer: once \(Europe\/Berlin\), next Mon 11 Jan 2027, 09:00/);
  expect(list).toMatch(/Review: cron 0 10 1 \* \* \(Europe\/Berlin\)/);
  await day.scene.daemon.api('PATCH', `/api/tasks/${(await day.taskOf('Offer')).id}`, { context: 'fresh' });
  model.push(use('ask', { question: 'Did the offer come?', choices: ['yes', 'no'] }), { text: '[silent]' });
  expect(await day.ask(await run('Offer'), 'Did the offer come?')).toMatch(/1\. yes\s+2\. no$/);
  await day.slotsDone('Offer', 1);
  model.push({ text: 'Great, I tick it off.' });
  await day.ask('1', 'Great, I tick it off.');
  // The answer came to the conversation that asked.
  expect(day.told()).toContain('Ask Olga whether the offer came.');
  expect(day.told()).not.toContain('on the first of each month');
  // Without the skill a spoken one is a file, and no words are made up.
  model.push({ text: 'I cannot hear it.' });
  await day.ask({ voice: { bytes: Buffer.from('OggS') } }, 'I cannot hear it.');
  expect(day.lastTurn()).toMatch(/<media kind=\\"voice\\" path=\\"[^<]*\.ogg\\"[^<]*\/>/);
});

test('what was planned is there after it all, and few cards were asked for', async () => {
  await day.restart();
  expect((await day.tasks()).map(({ title }) => title)).toEqual(['Bins', 'News', 'Runs', 'Offer', 'Review']);
  const cards = (await day.cards()).map(({ subject }) => subject).reverse();
  console.info(`cards of these set-ups: ${cards.length} ${JSON.stringify(cards)}`);
  expect(cards).toEqual(['make a task in Olga', expect.stringMatching(/^POST .*\/api\/bookings$/)]);
});
