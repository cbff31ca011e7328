// The servers from Debian that stand for services of the owner do what a test relies on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nginxProblem, startNginx } from './nginx.js';
import { radicaleProblem, startRadicale } from './radicale.js';

const noCalendar = radicaleProblem();
const noFolder = nginxProblem();
for (const why of [noCalendar, noFolder]) if (why) console.log(`skipped: ${why}`);

const EVENT = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y//EN
BEGIN:VEVENT
UID:one
DTSTAMP:20270101T000000Z
DTSTART:20270111T090000Z
SUMMARY:Dentist
END:VEVENT
END:VCALENDAR
`;

test.skipIf(noCalendar)('a calendar keeps an event, and is nobody’s without the password', async () => {
  const server = await startRadicale();
  await server.add('home');
  await server.put('home', 'one.ics', EVENT);
  expect(await server.files('home')).toEqual(['one.ics']);
  expect(await server.read('home', 'one.ics')).toContain('SUMMARY:Dentist');
  expect(await server.read('home', 'two.ics')).toBeUndefined();
  expect((await fetch(`${server.url}home/one.ics`)).status).toBe(401);
  await server.close();
});

describe.skipIf(noFolder)('nginx', () => {
  test('a folder takes and lists files, a repository is cloned and pushed to, both with the password only', async () => {
    const server = await startNginx();
    const { origin, davUrl, gitUrl, user, password, ca } = server;
    server.write('a/b.md', 'hello');
    const curl = (...args: string[]) => execFileSync('curl', ['-sS', '--cacert', ca, ...args], { encoding: 'utf8' });
    const mine = ['-u', `${user}:${password}`];
    expect(curl(...mine, `${davUrl}a/b.md`)).toBe('hello');
    curl(...mine, '-X', 'PUT', '--data-binary', 'new', `${davUrl}c.md`);
    expect(server.read('c.md')).toBe('new');
    expect(curl(...mine, '-X', 'PROPFIND', '-H', 'depth: 1', davUrl)).toContain('<D:href>/dav/c.md</D:href>');
    expect(curl('-o', '/dev/null', '-w', '%{http_code}', `${davUrl}c.md`)).toBe('401');
    server.repository('x.git', 'hello from git\n');
    const work = mkdtempSync(join(tmpdir(), 'pinch-work-'));
    const url = gitUrl.replace('//', `//${user}:${password}@`);
    const script = `git clone -q ${url}x.git w && cd w && cat README && git checkout -qb topic && echo more >b && git add b && git -c user.name=x -c user.email=x@x commit -qm b && git push -q origin topic`;
    expect(
      execFileSync('sh', ['-ec', script], {
        cwd: work,
        env: { PATH: process.env.PATH, GIT_SSL_CAINFO: ca },
        encoding: 'utf8',
      }),
    ).toBe('hello from git\n');
    expect(server.git('x.git', 'show', 'topic:b')).toBe('more\n');
    expect(curl('-o', '/dev/null', '-w', '%{http_code}', `${origin}/git/x.git/info/refs?service=git-upload-pack`)).toBe(
      '401',
    );
    expect(server.seen()).toContain('POST /git/x.git/git-receive-pack 200 olga');
    await server.close();
  });
});
