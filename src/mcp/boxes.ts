// Servers in containers of their own, and the containers in which they are installed.
import type { Config } from '../core/config.js';
import type { Sandbox, SandboxInstance } from '../sandbox/sandbox.js';
import type { McpServer } from '../services/servers.js';
import { type BoxDeps, createBoxes } from './box.js';
import { createInstaller } from './install.js';
import type { ServerProcess } from './process.js';

interface BoxOpenerDeps extends BoxDeps {
  config: Pick<Config, 'dataDir' | 'repository' | 'env'>;
}

/** What opens a server's container, and what installs it; both throw PinchError. */
export function createBoxOpener(deps: BoxOpenerDeps) {
  const { sandbox, killAll } = createKillable(deps.sandbox);
  const { installServer, keepOnly } = createInstaller({ ...deps, sandbox });
  const open = createBoxes({ ...deps, sandbox, onWorks: (server, folder) => void keepOnly(server, folder) });
  return {
    installServer,
    killAll,
    /** `over` ends it, whatever it has come to, while it starts. */
    openBox: async (server: McpServer, env: Record<string, string>, over: AbortSignal): Promise<ServerProcess> =>
      open({ server, env, folder: await installServer(server, over), over }),
  };
}

/** The sandbox, and what ends all its containers at once, also those that are being started. */
function createKillable(sandbox: Pick<Sandbox, 'start'>) {
  const all = new Set<Promise<SandboxInstance | undefined>>();
  return {
    sandbox: {
      start(...spec: Parameters<Sandbox['start']>): Promise<SandboxInstance> {
        const instance = sandbox.start(...spec);
        const started = instance.catch(() => undefined);
        all.add(started);
        void started.then((one) => one?.closed).then(() => all.delete(started));
        return instance;
      },
    },
    /** Resolves when they are gone. Never rejects. */
    async killAll(): Promise<void> {
      await Promise.all([...all].map(async (started) => (await started)?.stop(0)));
    },
  };
}
