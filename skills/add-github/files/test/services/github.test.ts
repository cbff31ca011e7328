// GitHub as the agent has it: the door to services with the skill's rules. Git's side is a real one, nginx with git's own server; the REST API
// is a server that says what it was asked, because only the rules and the credential are ours.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, type Site, startSite } from '../../src/egress/testing/sites.js';
import { type ServicesHome, startHome } from '../../src/services/testing/home.js';
import { type FolderServer, nginxProblem, startNginx } from '../fakes/nginx.js';
import { servicesOf } from '../skills/services.js';

const { github, 'github-git': git } = servicesOf('add-github');
const TOKEN = 'github_pat_canary0123456789';
let home: ServicesHome;
let site: Site;

beforeAll(async () => {
  site = await startSite();
  home = await startHome({ github: { ...github, url: `http://127.0.0.1:${site.port}` } }, `GITHUB_TOKEN=${TOKEN}\n`);
});
afterAll(async () => {
  await home.end();
  site.close();
});

const call = (method: string, path: string) => home.curl('-X', method, '-d', '{}', `${home.base}/github${path}`);

test('what is read is free and carries the token, which does not come back', async () => {
  expect(await home.curl(`${home.base}/github/repos/olga/pinch/issues?state=open`)).not.toContain(TOKEN);
  expect(site.seen.at(-1)).toMatchObject({ line: 'GET /repos/olga/pinch/issues?state=open' });
  expect(site.seen.at(-1)?.rawHeaders).toContain(`Bearer ${TOKEN}`);
});

test.each([
  ['DELETE', '/repos/olga/pinch'],
  ['DELETE', '/Repos/olga/pinch/'],
  ['DELETE', '/repositories/12'],
  ['POST', '/repos/olga/pinch/transfer'],
  ['POST', '/user/keys'],
  ['POST', '/user/gpg_keys'],
  ['POST', '/repos/olga/pinch/keys'],
  ['PATCH', '/repos/olga/pinch/hooks/1'],
])('%s %s is never asked for', async (method, path) => {
  const before = site.seen.length;
  expect(await call(method, path)).toContain("the owner's rules do not allow");
  expect({ seen: site.seen.length, open: home.store.approvals.list('open', 9) }).toEqual({ seen: before, open: [] });
});

test('a comment is sent once, after a yes', async () => {
  expect(await call('POST', '/repos/olga/pinch/issues/1/comments')).toContain("needs the owner's yes");
  expect(await home.yesToLast()).toMatchObject({ state: 'done' });
  expect(site.seen.filter(({ line }) => line.startsWith('POST'))).toHaveLength(1);
});

const problem = nginxProblem();
if (problem) console.log(`skipped: ${problem}`);

describe.skipIf(problem)('git', () => {
  let server: FolderServer;
  let forge: ServicesHome;

  beforeAll(async () => {
    server = await startNginx({ tls: false });
    server.repository('x.git', 'hello\n');
    const env = `GITHUB_USER=${server.user}\nGITHUB_TOKEN=${server.password}\n`;
    forge = await startHome({ 'github-git': { ...git, url: server.gitUrl } }, env);
  });
  afterAll(async () => {
    await forge.end();
    await server.close();
  });

  test('a clone is free; a push waits for the yes, and then the branch is there', async () => {
    const work = mkdtempSync(join(tmpdir(), 'pinch-work-'));
    const sh = async (script: string) => (await run('sh', ['-c', `cd ${work} && { ${script}; } 2>&1`])).out;
    expect(await sh(`git clone -q ${forge.base}/github-git/x.git w && cat w/README`)).toBe('hello\n');
    const commit =
      'cd w && git checkout -qb topic && echo 1 >b && git add b && git -c user.name=x -c user.email=x@x commit -qm b';
    expect(await sh(`${commit} && GIT_CURL_VERBOSE=1 git push -q origin topic`)).toMatch(/HTTP.*403.*Approval 1 /);
    expect(server.git('x.git', 'branch')).not.toContain('topic');
    expect(await forge.yesToLast()).toMatchObject({ id: 1, state: 'done' });
    expect(server.git('x.git', 'show', 'topic:b')).toBe('1\n');
    expect(await sh('cd w && git fetch -q && git status -sb')).not.toContain('ahead');
  });
});
