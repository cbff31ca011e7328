// The program of the inbox as Pinch runs it: its packages installed, one process, JSON-RPC over stdio. No container around it here.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { z } from 'zod';

const repository = join(import.meta.dirname, '..', '..');
const skill = z.object({ services: z.object({ inbox: z.object({ packages: z.array(z.string()) }) }) });

const content = z.array(
  z.union([
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({ type: z.literal('resource'), resource: z.object({ mimeType: z.string(), blob: z.string() }) }),
  ]),
);

export interface Said {
  isError: boolean;
  /** All its texts. */
  text: string;
  /** The first text read as JSON. */
  json: unknown;
  /** What a resource holds. */
  blob: Buffer | undefined;
}

export interface Inbox {
  client: Client;
  call(tool: string, input?: Record<string, unknown>): Promise<Said>;
  /** The folder it keeps things in. */
  data: string;
  /** Everything it ever wrote. */
  output(): string;
  pid: number;
  /** Resolves when the process ended. */
  ended: Promise<void>;
  close(): Promise<void>;
}

export interface Server {
  /** Starts the program in a folder that stays; `env` are its settings. */
  start(env: Record<string, string>, data?: string): Promise<Inbox>;
  /** A new folder for what a program keeps. */
  folder(): string;
  close(): Promise<void>;
}

/** Installs the packages that the entry of services.json pins, and the program's files beside them. */
export function installServer(): Server {
  const root = mkdtempSync(join(tmpdir(), 'pinch-inbox-'));
  const { packages } = skill.parse(JSON.parse(readFileSync(join(repository, 'skills/add-inbox/skill.json'), 'utf8')))
    .services.inbox;
  const server = join(root, 'server');
  mkdirSync(server);
  writeFileSync(join(server, 'package.json'), '{"private":true}');
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  execFileSync('npm', ['install', '--save-exact', ...quiet, ...packages], {
    cwd: server,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cpSync(join(repository, 'container/services/inbox'), server, { recursive: true });
  const running: Inbox[] = [];
  const folder = () => mkdtempSync(join(root, 'data-'));
  return {
    async start(env, data = folder()) {
      const inbox = await startProgram(join(server, 'inbox.mjs'), env, data);
      running.push(inbox);
      return inbox;
    },
    folder,
    async close() {
      await Promise.all(running.map((inbox) => inbox.close()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function startProgram(program: string, env: Record<string, string>, data: string): Promise<Inbox> {
  const written: string[] = [];
  const { PATH = '' } = process.env;
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program],
    env: { PATH, HOME: data, ...env },
    cwd: data,
    stderr: 'pipe',
  });
  transport.stderr?.on('data', (bytes) => written.push(String(bytes)));
  const client = new Client({ name: 'test', version: '1.0.0' });
  await client.connect(transport).catch((cause) => {
    throw new Error(`the program did not start: ${written.join('')}`, { cause });
  });
  const receive = transport.onmessage;
  transport.onmessage = (message) => {
    written.push(JSON.stringify(message));
    receive?.(message);
  };
  const { pid } = transport;
  if (!pid) throw new Error('it runs no more');
  const ended = new Promise<void>((resolve) => {
    client.onclose = resolve;
  });
  return {
    client,
    async call(tool, input = {}) {
      const result = await client.callTool({ name: tool, arguments: input });
      const parts = content.parse(result.content);
      const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
      const blob = parts.flatMap((part) => (part.type === 'resource' ? [part.resource.blob] : []))[0];
      const isError = result.isError === true;
      return {
        isError,
        text: texts.join('\n'),
        json: isError ? undefined : JSON.parse(texts[0] ?? ''),
        blob: blob === undefined ? undefined : Buffer.from(blob, 'base64'),
      };
    },
    data,
    output: () => written.join('\n'),
    pid,
    ended,
    close: () => client.close(),
  };
}
