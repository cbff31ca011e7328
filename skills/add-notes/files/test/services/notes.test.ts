// Notes as the agent has them: its program, the door to services with the skill's rules, and a real WebDAV server, Debian's nginx.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../src/egress/testing/sites.js';
import { type ServicesHome, startHome } from '../../src/services/testing/home.js';
import { type FolderServer, nginxProblem, startNginx } from '../fakes/nginx.js';
import { servicesOf } from '../skills/services.js';

const program = join(import.meta.dirname, '../../container/skills/notes/notes');
const problem = nginxProblem();
if (problem) console.log(`skipped: ${problem}`);

describe.skipIf(problem)('notes', () => {
  let server: FolderServer;
  let home: ServicesHome;
  let list: Record<string, Record<string, unknown>>;

  beforeAll(async () => {
    server = await startNginx({ tls: false });
    list = servicesOf('add-notes', { NOTES_URL: server.davUrl });
    home = await startHome(list, `NOTES_USER=${server.user}\nNOTES_PASSWORD=${server.password}\n`);
    server.write('House/Boiler.md', '# Boiler\nServiced in May, by Größe & Söhne\n');
    server.write('Trips/Rome 2027.md', 'Flights\nBoiler of the flat is broken\n');
    server.write('.trash/old.md', 'Boiler\n');
    server.write('photo.jpg', 'Boiler\n');
  });
  afterAll(async () => {
    await home.end();
    await server.close();
  });

  const notes = async (...args: string[]) => (await run('python3', [program, ...args], { HTTP_PROXY: home.proxy })).out;
  /** With a text on its stdin. */
  const write = (text: string, ...args: string[]) =>
    run('sh', ['-c', 'printf %s "$0" | python3 "$@"', text, program, 'write', ...args], { HTTP_PROXY: home.proxy });

  test('are listed and found in all folders, and taint nothing', async () => {
    const today = new Date().toISOString().slice(0, 10);
    expect(await notes('list')).toBe(`${today}  House/Boiler.md\n${today}  Trips/Rome 2027.md\n${today}  photo.jpg\n`);
    expect(await notes('list', 'Trips')).toBe(`${today}  Trips/Rome 2027.md\n`);
    expect(await notes('find', 'boiler')).toBe(
      'House/Boiler.md:1: # Boiler\nTrips/Rome 2027.md:2: Boiler of the flat is broken\n',
    );
    expect(await notes('find', 'GRÖSSE serviced', 'House')).toContain('House/Boiler.md:2');
    expect(home.store.taints.of('s')).toBeUndefined();
  });

  test('one is written after a yes, found again, and not written over by who has not read it', async () => {
    expect(await write('Call Ann\n', 'Inbox/Ann.md')).toMatchObject({
      code: 1,
      out: expect.stringContaining('Approval 1'),
    });
    expect(await home.yesToLast()).toMatchObject({ state: 'done' });
    expect(server.read('Inbox/Ann.md')).toBe('Call Ann\n');
    expect(await notes('find', 'ann')).toBe('Inbox/Ann.md:1: Call Ann\n');
    expect(await write('Else\n', 'Inbox/Ann.md')).toMatchObject({
      code: 1,
      out: expect.stringContaining('412 it is there'),
    });
    const [etag = ''] = (await notes('read', 'Inbox/Ann.md')).split('\n');
    await write('Called Ann\n', 'Inbox/Ann.md', etag);
    expect(await home.yesToLast()).toMatchObject({ state: 'done' });
    expect(server.read('Inbox/Ann.md')).toBe('Called Ann\n');
  });

  test('with the rule of an owner who wants it, one folder is written without asking and nothing else is', async () => {
    const rules = [list.notes?.rules, { method: 'PUT', path: '/Inbox/**', do: 'allow' }].flat();
    home.write({ notes: { ...list.notes, rules } });
    expect(await write('x', 'Inbox/2027/x.md')).toEqual({ code: 0, out: 'written: Inbox/2027/x.md\n' });
    expect((await write('x', 'House/x.md')).out).toContain("needs the owner's yes");
    expect(server.read('House/x.md')).toBeUndefined();
    home.write(list);
  });

  test('a deletion asks, the whole folder is never deleted', async () => {
    const asked = home.store.approvals.list(null, 99).length;
    expect(await home.curl('-X', 'DELETE', `${home.base}/notes/`)).toContain("the owner's rules do not allow");
    expect(await home.curl('-X', 'DELETE', `${home.base}/notes/House/Boiler.md`)).toContain("needs the owner's yes");
    expect(home.store.approvals.list(null, 99)).toHaveLength(asked + 1);
    expect(server.read('House/Boiler.md')).toContain('Serviced');
  });
});
