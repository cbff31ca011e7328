// Servers in containers of their own: installed when that is needed, then opened.
import type { Config } from '../core/config.js';
import type { McpServer } from '../services/servers.js';
import { type BoxDeps, createBoxes } from './box.js';
import { createInstaller } from './install.js';
import type { ServerProcess } from './process.js';

interface BoxOpenerDeps extends BoxDeps {
  config: Pick<Config, 'dataDir' | 'repository' | 'env'>;
}

/** What opens a server's container, and what installs it; both throw PinchError. */
export function createBoxOpener(deps: BoxOpenerDeps) {
  const { installServer, keepOnly } = createInstaller(deps);
  const open = createBoxes({ ...deps, onWorks: (server, folder) => void keepOnly(server, folder) });
  return {
    installServer,
    /** `over` ends it, whatever it has come to, while it starts. */
    openBox: async (server: McpServer, env: Record<string, string>, over: AbortSignal): Promise<ServerProcess> =>
      open({ server, env, folder: await installServer(server, over), over }),
  };
}
