// What a run that nobody asked for just now is told before its prompt: why it works, and that nobody is there. Pure.
import { shownLine } from '../core/one-line.js';
import { timeText } from '../core/times.js';
import type { TaskRunInput } from './run-input.js';

export const MAX_TITLE_CHARS = 80;

/** A task as we speak of it. */
export const taskName = ({ id, title }: { id: number; title: string }): string =>
  `Task ${id} (${shownLine(title, MAX_TITLE_CHARS)})`;

export function unattendedNote(input: TaskRunInput, timeZone: string): string {
  const { taskId, title, slotAt, late, missed } = input;
  const planned = timeText(slotAt, input.timeZone ?? timeZone);
  const delay = late ? ' It is late: this machine was off, asleep or busy at the time.' : '';
  const gap = missed > 0 ? ` ${missed} earlier times were missed and are not made up for.` : '';
  return (
    `[${taskName({ id: taskId, title })}, due ${planned}.${delay}${gap} Nobody is there to answer: decide by yourself, or use the ask tool and end. ` +
    `Your last text is sent to the chat. If there is nothing people need to know, make it exactly [silent].]`
  );
}
