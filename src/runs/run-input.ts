// What a run works with that nobody asked for just now (a task's slot, a hook's delivery, a new file), as it was when it was due.
import { z } from 'zod';

export const taskRunInput = z.object({
  /** Names the run where the time of its slot does not: a delivery, a file. */
  key: z.string().optional(),
  taskId: z.number(),
  title: z.string(),
  prompt: z.string(),
  /** When it was due, or what started it happened. */
  slotAt: z.number(),
  late: z.boolean(),
  /** Slots before this one that were missed. */
  missed: z.number(),
  timeZone: z.string().optional(),
  check: z.string().optional(),
  attempts: z.number().optional(),
  timeoutMs: z.number().optional(),
  untrusted: z.object({ source: z.string(), text: z.string() }).optional(),
});
export type TaskRunInput = z.infer<typeof taskRunInput>;

/** Names a run that only has its conversation summarized, once for each message that asks for it. */
export const compactionKey = (session: string, messageId: number): string => `compact:${session}:${messageId}`;
export const isCompaction = ({ key }: { key: string }): boolean => key.startsWith('compact:');
