// `pinch mounts`: the owner's list of further folders that containers see. Works without the daemon, which looks at the list before each start.
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { type ListedMount, mountsFile, removeFromList } from '../mounts/list.js';
import { addMount, checkMount, type Examined, examineMounts } from '../mounts/module.js';

export interface MountsCall {
  config: Config;
  argument: string | undefined;
  /** The words behind it. */
  rest: string[];
  values: {
    json?: string | boolean | undefined;
    group?: string | boolean | undefined;
    rw?: string | boolean | undefined;
  };
}

/** Throws PinchError: `usage`, `bad_mount` or `mounts_file`. */
export async function runMounts({ config, argument = 'list', rest, values }: MountsCall): Promise<string> {
  const [first = '', name] = rest;
  if (argument === 'add' && first) {
    const groups = typeof values.group === 'string' ? values.group.split(',') : ['main'];
    const mount = await checkMount(config, { path: first, name, groups, rw: values.rw === true });
    await addMount(config, mount);
    return `${describeMount(mount)}\nContainers that start from now on have it.`;
  }
  if (argument === 'remove' && first) {
    removeFromList(config, first);
    return `Containers that start from now on do not have ${first}.`;
  }
  if (argument !== 'list')
    throw new PinchError('usage', 'say list, add <folder> [name] [--group a,b] [--rw], or remove <name>');
  const found = await examineMounts(config);
  if (values.json) return JSON.stringify(found, null, 2);
  const lines = found.map(describeExamined);
  return visible([`${mountsFile(config)}: ${found.length === 0 ? 'nothing' : ''}`, ...lines].join('\n'));
}

const describeMount = ({ name, path, groups, rw }: ListedMount): string =>
  `${path} is /mnt/${name} for ${groups.join(', ')}, ${rw ? 'to read and write' : 'read-only'}`;

const describeExamined = (one: Examined): string =>
  one.kind === 'usable' ? `✓ ${describeMount(one.mount)}` : `✗ ${one.name}: ${one.why}`;
