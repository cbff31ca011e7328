// Approvals of kind `mount`: a folder of this machine for a group's containers. Of folders that cannot be given an agent learns nothing, not even
// which there are: it is told the same about all of them.
import { basename } from 'node:path';
import { z } from 'zod';
import { atMost, type Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { shownLine } from '../core/one-line.js';
import { post, type Route } from '../gateway/server.js';
import { checkName, readList } from '../mounts/list.js';
import { addMount, checkMount } from '../mounts/module.js';
import { placeProblem } from '../mounts/places.js';
import { parse, unknownThing, workingRun } from '../runs/calls.js';
import { taintOf } from '../taint/taint.js';
import { mountRequest } from '../wire.js';
import { type Approvals, agentText } from './approvals.js';
import type { Store } from './store.js';

const input = z.object({ name: z.string(), path: z.string(), groups: z.array(z.string()), rw: z.boolean() });
/** A network disk that is away may never answer. */
const LOOK_MS = 2_000;
const UNUSABLE =
  'this folder cannot be given: it is not there, or it is, holds or leads to what no container may see. The owner can find out with `pinch mounts add`';

export function mountCalls(deps: { store: Store; config: Config; clock: Clock; approvals: Approvals }): Route[] {
  const { store, config, clock, approvals } = deps;
  const ask = approvals.kind({
    ...{ name: 'mount', input, maxOpen: 3 },
    // The list is a file: no transaction takes it back or repeats it. It is written after the yes was committed, when what was shown has been
    // looked at once more; the same line a second time, after a crash in between, changes nothing.
    async carryOutLater(mount) {
      await addMount(config, mount).catch((error: unknown) => {
        const isChanged = error instanceof PinchError && error.code === 'bad_mount';
        throw isChanged ? new PinchError('bad_mount', `It is not what was shown any more: ${UNUSABLE}`) : error;
      });
      return `It is \`/mnt/${mount.name}\` from the next container on: one that has no work is replaced, one that works has it afterwards.`;
    },
  });
  let isLooking = false;
  return [
    post('/mounts', async (link, body) => {
      const { runId, path, readOnly, name, group } = parse(mountRequest, body);
      const run = workingRun(store, link, runId);
      const own = store.groups.get(link.groupId);
      const folder = store.groups.all().find((one) => one.folder === (group ?? own?.folder))?.folder;
      if (!own || !folder || (folder !== own.folder && !own.isMain)) throw unknownThing('group');
      const problem = placeProblem(path, []);
      if (problem) throw new PinchError('bad_mount', `${path} is not for containers: ${problem}`);
      // One at a time: a look that never ends keeps one thread of the process, not all of them.
      if (isLooking) throw new PinchError('too_many', 'another folder is being looked at; try again in a moment');
      isLooking = true;
      const look = checkMount(config, { path, name, groups: [folder], rw: !readOnly }).finally(() => {
        isLooking = false;
      });
      const mount = await atMost(clock, LOOK_MS, look);
      if (!mount) throw new PinchError('bad_mount', UNUSABLE);
      const isSame = (one: typeof mount) => one.name === mount.name && one.path === mount.path && one.rw === mount.rw;
      if (readList(config).mounts.some((one) => isSame(one) && one.groups.includes(folder)))
        return { text: `It is /mnt/${mount.name} already.` };
      checkName(config, mount);
      const may = mount.rw ? 'read, change and delete all in it, and leave programs there' : 'read all in it';
      const approval = ask({
        ...{ groupId: link.groupId, run, taint: taintOf(store, link), input: mount },
        subject: `give the folder ${shownLine(basename(mount.path), 80)} to the group ${folder}, ${mount.rw ? 'to read and write' : 'read-only'}`,
        lines: [
          `The agents of \`${folder}\` find it at \`/mnt/${mount.name}\` and can ${may}. It counts until \`npm run -s pinch -- mounts remove ${mount.name}\`.`,
          'The folder, by its real path on this machine:',
        ],
        content: mount.path,
      });
      return { text: agentText(approval) };
    }),
  ];
}
