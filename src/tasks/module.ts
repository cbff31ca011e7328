// Tasks: what people and agents ask for about them, and the loops that start what is due.
import type { Approvals } from '../approvals/approvals.js';
import type { Config } from '../core/config.js';
import { dayName } from '../core/day.js';
import type { LoopDeps } from '../core/deps.js';
import type { TakeIn } from '../core/set-aside.js';
import type { Chat } from '../core/types.js';
import type { StopSwitch } from '../runs/stop-switch.js';
import { taskApi } from './api.js';
import { createTaskAsker } from './ask.js';
import { taskCommands } from './commands.js';
import { createHooks } from './hooks.js';
import { createTaskCalls } from './host-calls.js';
import { startInboxWatch } from './inbox-watch.js';
import { taskActions, taskButtons } from './press.js';
import { type SchedulerDeps, startScheduler } from './scheduler.js';
import type { Store } from './store.js';
import { createTasks } from './tasks.js';
import { taskNotices } from './text.js';

export interface TaskModuleDeps extends LoopDeps, Pick<SchedulerDeps, 'begun'> {
  takeIn: TakeIn;
  store: Store;
  config: Config;
  stopSwitch: Pick<StopSwitch, 'stopped'>;
  approvals: Approvals;
  ownerChat(): Chat;
}

export function createTaskModule({ config, stopSwitch, approvals, takeIn, ownerChat, ...loop }: TaskModuleDeps) {
  const { store, clock } = loop;
  const tasks = createTasks({ store, clock, config });
  const askOwner = createTaskAsker({ store, tasks, approvals });
  // Once a day, however often it tries.
  function onTooMany(groupId: number, why: string): void {
    const folder = store.groups.get(groupId)?.folder ?? '?';
    const key = `task-quota:${groupId}:${dayName(clock.now(), config.timeZone)}`;
    loop.notifyOwner(key, taskNotices.tooMany(folder, why), groupId, taskButtons.tooMany(groupId));
  }
  return {
    pause: tasks.pause,
    actions: taskActions({ store, clock, tasks, reopenSlot: store.tasks.reopenSlot }),
    routes: createTaskCalls({ store, clock, tasks, askOwner, onTooMany }),
    commands: taskCommands({ store, tasks }),
    api: taskApi({ store, tasks, ownerChat, hooks: createHooks({ store, clock, tasks, takeIn }) }),
    start(): { stop(): void } {
      const scheduler = startScheduler({ ...loop, stopSwitch, timeZone: config.timeZone });
      const inboxes = startInboxWatch({ ...loop, config, tasks });
      return {
        stop() {
          scheduler.stop();
          inboxes.stop();
        },
      };
    },
  };
}
