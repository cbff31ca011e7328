// Services that skills bring, in a real container: what the owner types is applied, the servers are real ones from Debian, the model follows a
// script, and the owner answers the cards.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FolderServer, nginxProblem, startNginx } from '../fakes/nginx.js';
import { type CalendarServer, radicaleProblem, startRadicale } from '../fakes/radicale.js';
import { createSmallRepository, type Repository } from '../skills/repository.js';
import { eventually, newHome, removeHome } from './harness.js';
import { bash, type Scene, say, startScene, waitForRun } from './talk.js';

const skills = join(import.meta.dirname, '../../skills');
const problem = radicaleProblem() ?? nginxProblem();
if (problem) console.log(`skipped: ${problem}`);

describe.skipIf(problem)('ready services', () => {
  let repository: Repository;
  let calendar: CalendarServer;
  let folder: FolderServer;
  let scene: Scene;
  const home = newHome();

  beforeAll(async () => {
    [calendar, folder] = [await startRadicale(), await startNginx()];
    await calendar.add('home');
    folder.repository('site.git', 'hello from the forge\n');
    repository = createSmallRepository();
    for (const name of ['add-calendar', 'add-github'])
      cpSync(join(skills, name), join(repository.root, 'skills', name), { recursive: true });
    repository.commit();
    const env = { PINCH_HOME: home, CALENDAR_URL: calendar.url };
    const applied = repository.skill(['apply', 'add-calendar', 'add-github', '--yes', '--no-install'], env);
    expect(applied, applied.stderr).toMatchObject({ code: 0 });
    const list = join(home, 'services.json');
    writeFileSync(list, readFileSync(list, 'utf8').replace('https://github.com', folder.gitUrl));
    writeFileSync(
      join(home, '.env'),
      `CALENDAR_USER=${calendar.user}\nCALENDAR_PASSWORD=${calendar.password}\nGITHUB_USER=${folder.user}\nGITHUB_TOKEN=${folder.password}\n`,
      { mode: 0o600 },
    );
    // The containers of this daemon have the skills of this checkout; the program is the one that was applied.
    mkdirSync(join(home, 'groups/main'), { recursive: true });
    cpSync(join(repository.root, 'container/skills/calendar'), join(home, 'groups/main/calendar'), { recursive: true });
    scene = await startScene({ daemon: { home, env: { NODE_EXTRA_CA_CERTS: folder.ca } } });
  });
  afterAll(async () => {
    await scene.close();
    await Promise.all([calendar.close(), folder.close()]);
    repository.close();
    removeHome(home);
  });

  /** What a command in the container prints; `meanwhile` goes on beside it. */
  async function shell(command: string, meanwhile = async (): Promise<void> => undefined): Promise<string> {
    scene.model.push(bash(`{ ${command}\n} >/workspace/out.txt 2>&1`), { text: 'done' });
    const runId = await say(scene.daemon, 'go');
    await meanwhile();
    await waitForRun(scene.daemon, runId, ['done']);
    return readFileSync(join(home, 'groups/main/out.txt'), 'utf8');
  }
  const answer = z.object({
    approvals: z.array(z.object({ id: z.number(), state: z.string(), subject: z.string(), detail: z.string() })),
  });
  /** The owner's yes to the next card, once it is there; resolves with it. */
  async function yes() {
    const open = async () =>
      answer.parse((await scene.daemon.api('GET', '/api/approvals?state=open')).body).approvals.at(0);
    const card = await eventually(open, 'the owner is asked');
    await scene.daemon.api('POST', `/api/approvals/${card.id}`, { decision: 'allow' });
    return card;
  }
  /** Asks and waits as the skills say; the number stands in what a program prints. */
  const waiting = (command: string) =>
    `out=$(${command} 2>&1); echo "$out"; pinch wait $(echo "$out" | grep -oP 'Approval \\K\\d+' | head -n 1)`;

  test('the calendar is read, and an event added after the yes', async () => {
    const program = 'python3 /workspace/calendar/events --tz Europe/Berlin';
    expect(await shell(`${program}; ${program} list 2027-01-11 2027-01-12`)).toBe('home  home\nnothing\n');
    const add = `${program} add home 'Dentist' 2027-01-11T09:00 2027-01-11T09:30`;
    const out = await shell(waiting(add), async () => expect((await yes()).detail).toContain('SUMMARY:Dentist'));
    expect(out).toContain('yes, and it is done. The service `calendar` answered with status 201');
    const [file = ''] = await calendar.files('home');
    expect(await calendar.read('home', file)).toContain('DTSTART:20270111T080000Z');
    expect(await shell(`${program} list 2027-01-11 2027-01-11`)).toContain('Mon 2027-01-11 09:00-09:30  Dentist');
  });

  test('a repository is cloned over https, and a branch pushed after the yes', async () => {
    const commit =
      'cd /tmp/w && git checkout -qb topic && echo 1 >b && git add b && git -c user.name=x -c user.email=x@x commit -qm b';
    expect(await shell(`git clone -q ${folder.gitUrl}site.git /tmp/w && cat /tmp/w/README`)).toBe(
      'hello from the forge\n',
    );
    expect(folder.git('site.git', 'branch')).not.toContain('topic');
    const out = await shell(`${commit}; ${waiting('GIT_CURL_VERBOSE=1 git push -q origin topic')}`, async () => {
      expect((await yes()).subject).toBe(`POST ${folder.gitUrl}site.git/git-receive-pack`);
    });
    expect(out).toContain('yes, and it is done. The service `github-git` answered with status 200');
    expect(folder.git('site.git', 'show', 'topic:b')).toBe('1\n');
    expect(folder.seen().filter((line) => line.includes('git-receive-pack 200'))).toHaveLength(1);
  });

  test('no password is in the container, and each service answers its test', async () => {
    const out = await shell(
      'env; cat /proc/*/environ; grep -rs canary /workspace /tmp /sessions /skills; pinch service',
    );
    for (const secret of [calendar.password, folder.password]) expect(out).not.toContain(secret);
    expect(out).toContain('calendar: the owner');
    for (const [name, method, status] of [
      ['calendar', 'PROPFIND', 207],
      ['github-git', 'GET', 404],
    ])
      expect((await scene.daemon.api('POST', `/api/services/${name}/test`)).body).toEqual({ method, status });
  });
});
