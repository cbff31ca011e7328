// MCP servers: programs that bring agents tools, run by Pinch with credentials of the owner that no agent's container sees.
import { join } from 'node:path';
import type { Approvals } from '../approvals/approvals.js';
import type { Config } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import type { Guards } from '../secrets/guards.js';
import type { McpServer } from '../services/servers.js';
import type { Services } from '../services/services.js';
import type { RunSpec } from '../wire.js';
import { mcpApi } from './api.js';
import { createMcpAsker } from './ask.js';
import { mcpCalls } from './calls.js';
import { createParser } from './parse.js';
import { type ServerProcess, startHostProcess } from './process.js';
import { createServers } from './servers.js';
import type { Store } from './store.js';
import { definitionOf, ruleOf } from './tools.js';
import { createTransport } from './transport.js';

export interface McpModuleDeps extends LoopDeps {
  store: Store;
  config: Config;
  approvals: Approvals;
  services: Services;
  guards: Guards;
  stopSwitch: { stopped(): boolean };
  /** Starts a server in a container of its own. */
  openBox(server: McpServer, env: Record<string, string>): Promise<ServerProcess>;
}

export function createMcpModule(deps: McpModuleDeps) {
  const { clock, services, stopSwitch, notifyOwner } = deps;
  const parser = createParser(clock);
  const startServer = async (server: McpServer): Promise<ServerProcess> => {
    const env = services.envOf(server);
    return server.host ? startOnHost(deps, server, env) : deps.openBox(server, env);
  };
  const open = async (server: McpServer) => {
    if (server.host) notifyOwner(`mcp-host:${server.name}`, hostNotice(server.name));
    return createTransport({ process: await startServer(server), clock, parser });
  };
  const servers = createServers({ ...deps, open, stopped: stopSwitch.stopped });
  const asker = createMcpAsker({ ...deps, servers });
  servers.onChanges(asker.tools);
  const view = (server: McpServer) => {
    const { name, kind, description, groups, packages, command, egress, host, trusted } = server;
    const known = servers.tools(server) ?? [];
    const tools = known.map((tool) => ({
      ...{ name: tool.name, do: ruleOf(server.tools, tool.name) },
      readOnly: definitionOf(tool).annotations.readOnlyHint === true,
    }));
    const about = { name, kind, description, groups, packages, command, egress, host, trusted };
    return { ...about, ...servers.state(server), tools };
  };
  return {
    routes: mcpCalls({ ...deps, servers, asker }),
    api: mcpApi({ servers, services, view }),
    view,
    /** What a runner is told of them. */
    forRun: (groupId: number): RunSpec['mcp'] =>
      servers.of(groupId).map(({ name, description }) => ({ name, description })),
    stopAll: servers.stopAll,
    running: servers.running,
    async stop(): Promise<void> {
      await servers.stopAll();
      parser.close();
    },
  };
}

function startOnHost({ config, clock }: McpModuleDeps, server: McpServer, env: Record<string, string>): ServerProcess {
  const folder = server.program && join(config.repository, server.program);
  const dir = join(config.dataDir, 'mcp', server.name, 'data');
  return startHostProcess({ command: server.command, env, folder, dir }, clock);
}

const hostNotice = (name: string): string =>
  `The MCP server \`${name}\` runs on this machine itself (\`"host": true\`), with all that you may do here: no container holds it back. ` +
  'Without that line in services.json it runs in a sealed container.';
