// What a container may ask of MCP servers: which tools there are for its group, and a call of one. Checked, decided, called by the host, told.
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { atMost, type Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { oneLine } from '../core/one-line.js';
import type { Run } from '../core/types.js';
import { readJson } from '../gateway/body.js';
import { type Call, type Link, post, type Route } from '../gateway/server.js';
import { parse, workingRun } from '../runs/calls.js';
import { holdBack, NOTED } from '../runs/dry.js';
import type { Guards } from '../secrets/guards.js';
import type { McpServer } from '../services/servers.js';
import { markWorking, taintOf } from '../taint/taint.js';
import {
  MCP_STARTING,
  type McpBlock,
  type McpTool,
  mcpCallRequest,
  mcpToolsRequest,
  serviceProposal,
} from '../wire.js';
import { type McpAsker, sourceOf } from './ask.js';
import { blocksOf } from './results.js';
import type { KnownTool } from './rows.js';
import { callKnown, type Servers } from './servers.js';
import { type Progress, SLICE_CHARS } from './session.js';
import type { Store } from './store.js';
import { apiTool, decideTool, definitionOf, nameTools, ruleOf } from './tools.js';

/** A run waits so long for a server that is started for the first time. */
const FIRST_MS = 10_000;
/** Calls of one container that are not over. */
const AT_ONCE = 8;
const MAX_CALL_BYTES = 256 * 1024;
const SLICE_BYTES = 64 * 1024;
/** Lines of a run's timeline about the progress of one call, and the time between two. */
const [MAX_PROGRESS, PROGRESS_MS] = [20, 1_000];
/** All tools of a group, as the model's API gets them. */
const MAX_TOOLS_CHARS = 1024 * 1024;

export interface CallDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  servers: Servers;
  asker: McpAsker;
  guards: Pick<Guards, 'leaks'>;
}
type Tool = { server: McpServer; service: string; tool: string; known: KnownTool };

export function mcpCalls(deps: CallDeps): Route[] {
  const { store, asker } = deps;
  const open = new WeakMap<Link, number>();
  return [
    {
      // Looking at many large schemas takes time; a run asks once.
      ...{ method: 'POST', path: '/mcp/tools', rate: 'history' },
      async serve({ link, request, response, room }) {
        workingRun(store, link, parse(mcpToolsRequest, await readJson(request, MAX_CALL_BYTES, room)).runId);
        const { problems, tools } = await listTools(deps, link.groupId);
        await answer(response, { problems }, tools);
      },
    },
    post('/mcp/propose', (link, body) => {
      const { runId, name, config } = parse(serviceProposal, body);
      const run = workingRun(store, link, runId);
      const leak = deps.guards.leaks(link, 'the owner', [config]);
      if (leak) throw new PinchError('forbidden', leak.reason);
      return { text: asker.server(run, { name, config, taint: taintOf(store, link) }) };
    }),
    {
      ...{ method: 'POST', path: '/mcp/call' },
      async serve(call) {
        const { runId, name, input } = parse(mcpCallRequest, await readJson(call.request, MAX_CALL_BYTES, call.room));
        const run = workingRun(store, call.link, runId);
        const count = open.get(call.link) ?? 0;
        if (count >= AT_ONCE)
          throw new PinchError('too_many', `${count} calls of MCP servers are open; wait for their answers`);
        open.set(call.link, count + 1);
        try {
          await serveCall(deps, { ...call, run }, { name, input });
        } finally {
          open.set(call.link, (open.get(call.link) ?? 1) - 1);
        }
      },
    },
  ];
}

/** Those of the group that may be used, by the names that the model calls them by. */
function toolsOf({ servers }: CallDeps, groupId: number): Map<string, Tool> {
  const all = servers.of(groupId).flatMap((server) => {
    const known = servers.tools(server) ?? [];
    return known
      .filter(({ name }) => ruleOf(server.tools, name) !== 'deny')
      .map((tool) => ({ server, service: server.name, tool: tool.name, known: tool }));
  });
  return nameTools(all);
}

async function listTools(deps: CallDeps, groupId: number) {
  const { servers, clock } = deps;
  const unknown = servers.of(groupId).filter((server) => servers.tools(server) === undefined);
  const starts = unknown.map(async (server) => {
    const start = Promise.resolve().then(() => servers.use(server).ready());
    const why = start.then(() => undefined, describeError);
    return {
      service: server.name,
      problem: (await atMost(
        clock,
        FIRST_MS,
        why.then((said) => ({ said })),
      )) ?? { said: MCP_STARTING },
    };
  });
  const problems = (await Promise.all(starts)).flatMap(({ service, problem: { said } }) =>
    said === undefined ? [] : [{ service, problem: said }],
  );
  const tools: McpTool[] = [];
  let [chars, looked] = [0, 0];
  for (const [name, { service, known }] of toolsOf(deps, groupId)) {
    const tool = apiTool(name, service, definitionOf(known));
    chars += JSON.stringify(tool).length;
    if (chars > MAX_TOOLS_CHARS) break;
    tools.push(tool);
    looked += known.definition.length;
    if (looked > SLICE_CHARS) {
      looked = 0;
      await setImmediate();
    }
  }
  return { tools, problems };
}

const onlyReads = (tool: KnownTool): boolean => definitionOf(tool).annotations.readOnlyHint === true;

type RunningCall = Call & { run: Run };

async function serveCall(
  deps: CallDeps,
  call: RunningCall,
  { name, input }: { name: string; input: Record<string, unknown> },
) {
  const { store, clock, guards, asker } = deps;
  const { link, run } = call;
  const found = toolsOf(deps, link.groupId).get(name);
  if (!found) throw new PinchError('not_found', `there is no tool ${name.slice(0, 128)} for this group now`);
  const { server, known } = found;
  const startedAt = clock.now();
  const tell = (outcome: {
    verdict: 'allowed' | 'asked' | 'refused' | 'failed' | 'held';
    why: string;
    ok: boolean;
    chars: number;
  }) => {
    const detail = {
      service: server.name,
      tool: known.name.slice(0, 200),
      ...outcome,
      durationMs: clock.now() - startedAt,
    };
    deps.log.debug(detail, 'mcp');
    if (store.events.hasRoom(run.id)) store.events.add(run.id, clock.now(), 'mcp', detail);
  };
  const leak = guards.leaks(link, sourceOf(server.name), [JSON.stringify(input)]);
  if (leak) {
    tell({ verdict: 'refused', why: 'a secret', ok: false, chars: 0 });
    throw new PinchError('forbidden', leak.reason);
  }
  const taint = taintOf(store, link);
  const verdict = decideTool(server.tools, definitionOf(known), taint !== undefined);
  if (verdict.do === 'deny') throw new PinchError('forbidden', `the owner's rules do not allow ${name}`);
  if (link.dryRun !== undefined && !(verdict.do === 'allow' && onlyReads(known))) {
    holdBack(deps, run.id, { what: 'mcp', about: `${server.name} ${known.name}`, text: JSON.stringify(input) });
    tell({ verdict: 'held', why: verdict.why, ok: true, chars: 0 });
    return answer(call.response, { isError: false }, [{ type: 'text', text: NOTED }]);
  }
  if (verdict.do === 'ask') {
    const text = `This needs the owner's yes. ${asker.call(run, { server, tool: known, args: input, taint })}`;
    tell({ verdict: 'asked', why: verdict.why, ok: true, chars: 0 });
    return answer(call.response, { isError: false }, [{ type: 'text', text }]);
  }
  // Before a byte of it enters the container.
  if (!server.trusted)
    store.transaction(() => markWorking(store, link.groupId, sourceOf(server.name), clock.now(), link.dryRun));
  try {
    const result = await perform(deps, call, found, input);
    const blocks = blocksOf(result);
    const chars = blocks.reduce((sum, block) => sum + (block.type === 'text' ? block.text : block.data).length, 0);
    tell({ verdict: 'allowed', why: verdict.why, ok: !result.isError, chars });
    if (!call.room.take(chars)) throw new PinchError('no_room', 'the answer is too large for now; ask for less of it');
    const source = server.trusted ? {} : { source: sourceOf(server.name) };
    await answer(call.response, { isError: result.isError, ...source }, blocks);
  } catch (error) {
    if (!(error instanceof PinchError)) throw error;
    tell({ verdict: 'failed', why: oneLine(error.message, 300), ok: false, chars: 0 });
    throw error;
  }
}

async function perform(
  { store, servers, clock }: CallDeps,
  { response, run }: RunningCall,
  { server, tool, known }: Tool,
  args: Record<string, unknown>,
) {
  const over = new AbortController();
  const abort = () => over.abort();
  const onStopped = (runId: number) => runId === run.id && abort();
  response.once('close', abort);
  store.signals.on('run:stopped', onStopped);
  let [told, toldAt] = [0, Number.NEGATIVE_INFINITY];
  const onProgress = ({ progress, total, message }: Progress): void => {
    if (told >= MAX_PROGRESS || clock.now() - toldAt < PROGRESS_MS || !store.events.hasRoom(run.id)) return;
    [told, toldAt] = [told + 1, clock.now()];
    const words = message === undefined ? {} : { message: oneLine(message, 200) };
    const detail = { service: server.name, tool, progress, ...(total !== undefined && { total }), ...words };
    store.events.add(run.id, clock.now(), 'mcp_progress', detail);
  };
  try {
    return await callKnown(servers, { server, digest: known.digest }, { tool, args, signal: over.signal, onProgress });
  } finally {
    store.signals.off('run:stopped', onStopped);
    response.off('close', abort);
  }
}

/** Lines of JSON. In slices: each is looked through for secrets, and nothing else would get its turn meanwhile. */
async function answer(response: ServerResponse, head: object, rest: (McpBlock | McpTool)[]): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for (const line of [head, ...rest]) {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
      if (response.destroyed) return;
      response.write(bytes.subarray(from, from + SLICE_BYTES));
      await setImmediate();
    }
  }
  response.end();
}
