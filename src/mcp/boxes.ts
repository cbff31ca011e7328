// Servers in containers of their own: installed when that is needed, then opened.
import type { Config } from '../core/config.js';
import type { McpServer } from '../services/servers.js';
import { type BoxDeps, createBoxes, type ServerProcess } from './box.js';
import { createInstaller } from './install.js';

interface BoxOpenerDeps extends BoxDeps {
  config: Pick<Config, 'dataDir' | 'repository' | 'env'>;
}

/** Returns what opens a server's container; it throws PinchError, as the installer and `createBoxes` do. */
export function createBoxOpener(deps: BoxOpenerDeps) {
  const installer = createInstaller(deps);
  const openBox = createBoxes({ ...deps, onWorks: (server, folder) => void installer.keepOnly(server, folder) });
  return async (server: McpServer, env: Record<string, string>): Promise<ServerProcess> =>
    openBox({ server, env, folder: await installer.installServer(server) });
}
