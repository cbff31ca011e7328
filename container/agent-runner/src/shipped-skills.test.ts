// The skills that come with every container: each one is listed, short, and its commands do what it says.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findSkills } from './skills.js';
import { makePaths } from './testing/setup.js';

const skills = path.join(import.meta.dirname, '..', '..', 'skills');
const folders = fs.readdirSync(skills);
const read = (name: string) => fs.readFileSync(path.join(skills, name, 'SKILL.md'), 'utf8');

test('each of them is in the list with its whole description, and short enough to be read', () => {
  const listed = findSkills({ ...makePaths(), skills }, []).listed;
  expect(listed.map(({ name }) => name)).toEqual(folders);
  for (const { name, description } of listed) {
    expect(read(name)).toContain(`\ndescription: ${description}\n`);
    expect(description).toContain('Use when');
    expect(read(name).split('\n').length).toBeLessThanOrEqual(100);
  }
});

test('a skill written as the shipped one says is listed', () => {
  const paths = makePaths();
  const [, example = ''] = /```\n([^`]*)```/.exec(read('write-a-skill').replace(/^ {3}/gm, '')) ?? [];
  fs.mkdirSync(path.join(paths.workspace, 'skills', 'weekly-report'), { recursive: true });
  fs.writeFileSync(path.join(paths.workspace, 'skills', 'weekly-report', 'SKILL.md'), example);
  expect(findSkills(paths, []).unread).toMatchObject([{ name: 'weekly-report' }]);
});

let server: http.Server;
let url: string;
let workspace: string;
/** What the pages hold; a status of 500 when undefined. */
const pages = new Map<string, string | undefined>();

beforeAll(async () => {
  server = http.createServer((request, response) => {
    const page = pages.get(request.url ?? '');
    response.writeHead(page === undefined ? 500 : 200).end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterAll(() => server.close());
beforeEach(() => {
  workspace = makePaths().workspace;
});

/** One of the scripts of `watch`, as a check runs it. */
async function check(which: string): Promise<{ printed: string; code: unknown }> {
  const scripts = [...read('watch').matchAll(/```bash\n([^`]*)```/g)].map(([, script = '']) => script);
  const script = scripts.find((one) => one.includes(`changed ${which}`)) ?? '';
  const here = script
    .replaceAll('https://example.com', url)
    .replaceAll('/skills/watch', path.join(skills, 'watch'))
    .replace('sleep 5', 'sleep 0.1');
  const child = spawn('/bin/bash', ['-c', here], { cwd: workspace, stdio: ['ignore', 'pipe', 'ignore'] });
  const code = new Promise((resolve) => child.once('exit', resolve));
  return { printed: await text(child.stdout), code: await code };
}
const quiet = { printed: '', code: 0 };

test('watch: a page tells its new headings once, and is not forgotten while it cannot be had', async () => {
  pages.set('/news', '<p>12:01</p><h2>Old</h2>\n');
  expect(await check('news')).toEqual(quiet);
  pages.set('/news', '<p>12:02</p><h2>Old</h2>\n');
  expect(await check('news')).toEqual(quiet);
  pages.delete('/news');
  expect(await check('news')).toEqual({ printed: '', code: 1 });
  pages.set('/news', '<p>12:03</p><h2>New</h2>\n<h2>Old</h2>\n');
  expect(await check('news')).toEqual({ printed: '+New\n', code: 0 });
  expect(await check('news')).toEqual(quiet);
});

const hasJq = spawnSync('jq', ['--version']).status === 0;
if (!hasJq) console.log('not tested: the price script of `watch`, because this machine has no jq (the container has)');

test.skipIf(!hasJq)(
  'watch: a price counts when it crosses the limit, and a page without one is a failure',
  async () => {
    for (const price of [510, 520]) {
      pages.set('/item.json', JSON.stringify({ price }));
      expect(await check('price')).toEqual(quiet);
    }
    pages.set('/item.json', '{}');
    expect(await check('price')).toEqual({ printed: '', code: 1 });
    pages.set('/item.json', JSON.stringify({ price: 499.5 }));
    expect(await check('price')).toEqual({ printed: '-500 or more\n+below 500\n', code: 0 });
  },
);

test('watch: a server that goes down and comes back is told twice in all', async () => {
  pages.set('/health', 'ok');
  expect(await check('server')).toEqual(quiet);
  pages.delete('/health');
  expect(await check('server')).toEqual({ printed: '-up\n+down\n', code: 0 });
  expect(await check('server')).toEqual(quiet);
  pages.set('/health', 'ok');
  expect(await check('server')).toEqual({ printed: '-down\n+up\n', code: 0 });
});

test('watch: a folder tells its new file', async () => {
  fs.mkdirSync(path.join(workspace, 'inbox'));
  fs.writeFileSync(path.join(workspace, 'notes.txt'), 'a');
  expect(await check('inbox')).toEqual(quiet);
  fs.writeFileSync(path.join(workspace, 'inbox', 'letter.txt'), 'b');
  expect((await check('inbox')).printed).toMatch(/^\+.*letter\.txt$/m);
});
