// task_*: schedules and changes tasks. The host checks and keeps them; its answers and refusals are the results.
import * as z from 'zod';
import { type TaskChange, taskInput } from '../../../../src/wire.js';
import { callerOf, type RunContext, type Tool } from '../context.js';
import { zodTool } from './zod-tool.js';

const SCHEDULE = `Have a prompt of yours run later or again and again, also when nobody writes. Give exactly one of:
- cron: 5 fields (minute hour day month weekday), or 6 with seconds first, e.g. "0 9 * * 1-5"; local time in tz (IANA name, default: the zone of this conversation).
- every: a fixed length of time, e.g. "90s", "30m", "1h30m", "2d".
- at: once, "in 5m" or YYYY-MM-DDTHH:MM in tz.
The prompt is all that the run is sure to know: write it so that it stands alone, with paths and what to send to whom. The result names the next three times: tell them to the person.
- check: a bash script that runs each time in the workspace without a model call, and so costs nothing. You are woken only when it prints something, and see that as data; any other exit code than 0 is a failure. It keeps what it must remember in a file of the workspace. Use it for whatever a script can watch.
- context: "chat" goes on in this conversation (default for at), "fresh" starts an empty one each time (default for cron and every).
- misfire, for times missed while the machine was off: "latest" makes up for the last one (default), "skip" for none, "all" for each.
- overlap, while an earlier run of the task is at work: "skip" (default) or "queue".
- after: ids of tasks whose latest time must have succeeded, else this one does not run.
- chat: where results go, default this chat. timeout: of one run. attempts: tries of a run that fails. budget: what it may cost a day, US dollars. jitter: at most so much random delay.`;

const id = z.int().positive();
const ofOne = z.object({ id });
const nothing = z.object({});
const update = taskInput.partial().extend({ id });

export function taskTools({ host, run, signal }: RunContext): Tool[] {
  const changing = (action: TaskChange['action'], description: string) =>
    zodTool({
      name: `task_${action}`,
      description,
      inputSchema: ofOne,
      run: ({ id }, call) => host.ask(`/tasks/${id}`, { ...callerOf(run, call), action }, signal),
    });
  return [
    zodTool({
      name: 'task_schedule',
      description: SCHEDULE,
      inputSchema: taskInput,
      run: (input, call) => host.ask('/tasks', { ...input, ...callerOf(run, call) }, signal),
    }),
    zodTool({
      name: 'task_list',
      description: 'List the tasks of this group with their ids, states, next times and what became of the last.',
      inputSchema: nothing,
      run: () => host.ask('/tasks/list', { runId: run.id }, signal),
    }),
    zodTool({
      name: 'task_update',
      description: 'Change the given fields of a task; they mean what they mean in task_schedule.',
      inputSchema: update,
      run: ({ id, ...fields }, call) =>
        host.ask(`/tasks/${id}`, { ...callerOf(run, call), action: 'update', fields }, signal),
    }),
    changing('pause', 'Pause a task: it does nothing until task_resume.'),
    changing('resume', 'Resume a paused task. The times that passed are not made up for.'),
    changing('cancel', 'Cancel a task for good.'),
  ];
}
