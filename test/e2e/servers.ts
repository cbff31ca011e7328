// The containers of MCP servers, as the engine knows them, and what stands in a container.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { containersOf } from './harness.js';

const docker = new Docker();

/** Of the server: those that are there now, by their ids. */
export async function boxesOf(home: string, server?: string): Promise<string[]> {
  const labels = (await containersOf(home)).map(({ Id, Config }) => ({ id: Id, name: Config.Labels['pinch.server'] }));
  return labels.flatMap(({ id, name }) => (name !== undefined && (server ?? name) === name ? [id] : []));
}

export async function agentContainerOf(home: string): Promise<string> {
  const found = (await containersOf(home)).find(({ Config }) => Config.Labels['pinch.group'] !== undefined);
  if (!found) throw new Error('there is no container of an agent');
  return found.Id;
}

export const inspected = async (id: string): Promise<string> => JSON.stringify(await docker.getContainer(id).inspect());
export const killContainer = (id: string): Promise<void> => docker.getContainer(id).kill();

/** What the command prints in the container, as the user of it. */
export async function inContainer(id: string, command: string): Promise<string> {
  const run = await docker
    .getContainer(id)
    .exec({ Cmd: ['sh', '-c', command], AttachStdout: true, AttachStderr: true, Tty: true });
  return text(await run.start({ Tty: true }));
}

/** Files below the folder that have these words, packages of servers left out. */
export const filesWith = (folder: string, words: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/node_modules'))
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => readFileSync(file).includes(words))
    .map((file) => file.slice(folder.length + 1));
