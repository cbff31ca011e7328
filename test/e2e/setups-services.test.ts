// Set-ups of README with services and machines of the owner (5 to 7), on Debian's nginx and git: notes, a repository, a machine at home.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FolderServer, nginxProblem, startNginx } from '../fakes/nginx.js';
import { createPlace } from '../fakes/programs.js';
import { servicesOf } from '../skills/services.js';
import { commandIn, type Day, setUp, skillsIn, startDay, use } from './day.js';
import { freePort } from './harness.js';
import { bash } from './talk.js';

const problem = nginxProblem();
if (problem) console.log(`skipped: ${problem}`);

describe.skipIf(problem)(`set-ups with services${problem ? `: skipped, ${problem}` : ''}`, () => {
  let day: Day;
  let server: FolderServer;

  beforeAll(async () => {
    server = await startNginx();
    server.repository('site.git', 'Welcome to teh site.\n');
    server.write('House/Heating.md', '# Heating\nTwo radiators are new.\n');
    const applied = [5, 6].flatMap((number) => skillsIn(setUp(number).once(0)));
    const services = Object.fromEntries(
      applied.flatMap((skill) => Object.entries(servicesOf(skill, { NOTES_URL: server.davUrl }))),
    );
    day = await startDay({
      // As the skills write them; this machine's repositories stand for GitHub's.
      services: { ...services, 'github-git': { ...services['github-git'], url: server.gitUrl } },
      secrets: {
        ...{ NOTES_URL: server.davUrl, NOTES_USER: server.user, NOTES_PASSWORD: server.password },
        ...{ GITHUB_USER: server.user, GITHUB_TOKEN: server.password },
      },
      env: { NODE_EXTRA_CA_CERTS: server.ca },
    });
    // What the skill adds to the agents' skills.
    const program = join(import.meta.dirname, '../../skills/add-notes/files/container/skills/notes/notes');
    cpSync(program, join(day.folder, 'notes'));
  });
  afterAll(async () => {
    await day.close();
    await server.close();
  });

  test('5 · notes: written to the owner’s folder after a yes, and found again after a restart', async () => {
    const { typed, answer } = setUp(5);
    const { model } = day.scene;
    const note = 'The boiler was serviced on 12 May 2026.';
    const write = `said=$(echo '${note}' | /workspace/notes write House/Boiler.md 2>&1); echo "$said"; pinch wait $(grep -oP 'Approval \\K\\d+' <<<"$said")`;
    model.push(bash(write), { text: answer(0) });
    const answered = day.ask(typed(0), answer(0));
    const card = await day.hears('/dav/House/Boiler.md');
    expect(card.plain).toContain(note);
    expect(server.read('House/Boiler.md')).toBeUndefined();
    day.yes(card);
    await answered;
    expect(server.read('House/Boiler.md')).toBe(`${note}\n`);

    await day.restart();
    await day.ask('/new', 'New conversation');
    const found = () => ({
      text: `On ${/serviced on (\d+ \w+ \d+)/.exec(day.lastTurn())?.[1]}, says ${/House\/Boiler\.md/.exec(day.lastTurn())?.[0]}.`,
    });
    model.push(use('search_history', { query: 'boiler' }), bash('/workspace/notes find "boiler serviced"'), found);
    await day.ask(typed(1), answer(1));
    expect(day.told()).toContain(typed(0));
    expect(server.seen().every((line) => line.endsWith(` ${server.user}`))).toBe(true);
    expect(day.told() + day.prompt()).not.toContain(server.password);
  });

  test('6 · a repository cloned over HTTPS; its branch is pushed after a yes, and by nothing before', async () => {
    const { typed, answer } = setUp(6);
    const { model } = day.scene;
    const asked = typed(0).replace('https://github.com/olga/site', `${server.gitUrl}site.git`);
    const work = `git clone -q ${server.gitUrl}site.git site && cd site && git checkout -q -b typo && sed -i s/teh/the/ README &&
      git -c user.name=Pinch -c user.email=pinch@example.org commit -qam 'Correct a typo' && git push -q origin typo`;
    model.push(bash(work), { text: 'I ask you.' });
    await day.ask(asked, 'I ask you.');
    expect(day.lastTurn()).toContain('403');
    const card = await day.hears('/git/site.git/git-receive-pack');
    expect(server.git('site.git', 'branch')).toBe('* main\n');
    model.push(bash('cd /workspace/site && git fetch -q && git branch -r'), () => ({
      text: `The branch ${/origin\/(typo)/.exec(day.lastTurn())?.[1]} is pushed.`,
    }));
    day.yes(card);
    await day.hears(answer(0));
    expect(server.git('site.git', 'show', 'typo:README')).toBe('Welcome to the site.\n');
    expect(server.git('site.git', 'show', 'main:README')).toBe('Welcome to teh site.\n');
  });

  test('7 · a machine at home, at an address that the owner named: down, back, and nothing in between', async () => {
    await day.ask('/new', 'New conversation');
    await day.hoursPass();
    const { once, typed, answer } = setUp(7);
    const { model } = day.scene;
    const port = await freePort();
    const url = `http://nas.home:${port}/`;
    const look = `curl -fsS -o /dev/null --max-time 15 ${url}`;
    model.push(bash(look), { text: 'I do not get there.' });
    await day.ask(typed(0).replace('http://nas.home/', url), 'I do not get there.');
    expect(await day.pinch(...commandIn(once(0)))).toBe('Allowed: `nas.home` at 192.168.1.5\n');
    await day.pinch('allow', `nas.home:${port}=127.0.0.1`);

    let machine = await startMachine(port);
    const check = `up() { ${look}; }; { up || { sleep 0.2; up; } && echo up || echo down; } 2>/dev/null | /skills/watch/changed nas`;
    const input = { title: 'NAS', prompt: 'Tell Olga whether nas.home is up or down.', every: '1s', check };
    model.push(use('task_schedule', input), { text: 'Watching.' });
    await day.ask(typed(0).replace('http://nas.home/', url), 'Watching.');
    const news = () => ({ text: `nas.home is ${/\+(up|down)/.exec(day.told())?.[1] === 'up' ? 'back' : 'down'}.` });
    model.push(news, news);
    await day.slotsDone('NAS', 2);
    const before = day.calls();
    await machine.close();
    await day.hears(answer(0));
    const seen = (await day.taskOf('NAS')).slots.length;
    await day.slotsDone('NAS', Math.min(seen + 2, 15));
    machine = await startMachine(port);
    await day.hears(answer(1));
    await day.ask(`/task ${(await day.taskOf('NAS')).id} cancel`, 'is cancelled');
    await machine.close();
    expect(day.calls()).toBe(before + 2);
    const told = day.read(day.direct).filter((text) => text.startsWith('nas.home is'));
    expect(told).toEqual([answer(0), answer(1)]);
  });

  test('these led to two cards', async () => {
    const cards = (await day.cards()).map(({ subject }) => subject).reverse();
    console.info(`cards of these set-ups: ${cards.length} ${JSON.stringify(cards)}`);
    expect(cards).toEqual([`PUT ${server.davUrl}House/Boiler.md`, `POST ${server.gitUrl}site.git/git-receive-pack`]);
  });
});

/** An nginx as a machine at home has it. */
async function startMachine(port: number) {
  const place = createPlace('home');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${place.folder};`,
  );
  const server = `server { listen 127.0.0.1:${port}; location / { return 200 well; } }`;
  const settings = `daemon off; error_log stderr; pid ${place.folder}/pid; events {} http { access_log off; ${paths.join(' ')} ${server} }`;
  place.run('sh', '-c', 'printf %s "$1" >nginx.conf', 'sh', settings);
  await place.start('/usr/sbin/nginx', ['-p', place.folder, '-e', 'stderr', '-c', `${place.folder}/nginx.conf`], port);
  return place;
}
