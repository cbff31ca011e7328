// A home with the real JSON API and a folder for an old assistant, on which migration scripts run as the owner runs them.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startPageFixture } from './e2e/page-fixture.js';

export type MigrationBench = Awaited<ReturnType<typeof startMigrationBench>>;

export async function startMigrationBench() {
  const top = mkdtempSync(join(tmpdir(), 'pinch-migration-'));
  const dashboard = await startPageFixture();
  const { store, status } = { store: dashboard.store, status: dashboard.state.status };
  status.channels.push({ name: 'whatsapp', state: 'open', detail: '' });
  const [home, old] = [join(top, 'home'), join(top, 'old')];
  for (const name of ['main', 'global']) mkdirSync(join(home, 'groups', name), { recursive: true });
  mkdirSync(old);
  symlinkSync(dashboard.dataDir, join(home, 'data'));
  writeFileSync(join(home, 'groups/main/CLAUDE.md'), 'from the template\n');
  store.groups.ensure('main', true, 1);
  const write = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  return {
    ...{ top, home, old, store, dashboard },
    /** A file of the old assistant. */
    has: (path: string, text: string) => write(join(old, path), text),
    write: (path: string, text: string) => write(join(home, 'groups', path), text),
    read: (path: string) => readFileSync(join(home, 'groups', path), 'utf8'),
    /** All files below groups/, sorted. */
    files: () =>
      readdirSync(join(home, 'groups'), { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(join(home, 'groups').length + 1))
        .sort(),
    /** The owner's direct chat, as after pairing. */
    pair(channel: string, address: string) {
      const { id } = store.groups.seenChat({ channel, address, kind: 'direct', title: 'Owner', now: 1 });
      store.groups.assignChat(id, store.groups.ensure('main', true, 1).id);
    },
    /** What every chat is registered to. */
    chats: () =>
      Object.fromEntries(
        store.groups.chats().map((chat) => [
          `${chat.channel}:${chat.address}`,
          {
            folder: store.groups.get(chat.groupId ?? 0)?.folder,
            listed: chat.sendersPolicy === 'listed' && chat.listedSenders,
          },
        ]),
      ),
    tasks: () =>
      store.tasks.open(null).map((task) => ({
        ...{ title: task.title, prompt: task.prompt, state: task.state, starts: task.starts },
        ...{ context: task.options.context, chat: store.groups.chat(task.chatId)?.address },
      })),
    run(script: string, args: string[]): Promise<{ code: number; out: string }> {
      const env = {
        PATH: process.env.PATH,
        HOME: top,
        PINCH_HOME: home,
        PINCH_PORT: String(dashboard.port),
        TZ: 'Asia/Tokyo',
      };
      const program = join(import.meta.dirname, '..', 'scripts', script);
      return new Promise((resolve) => {
        execFile(process.execPath, [program, ...args], { env }, (error, stdout, stderr) =>
          resolve({ code: error ? 1 : 0, out: stdout + stderr }),
        );
      });
    },
    async close() {
      await dashboard.close();
      rmSync(top, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
