// The words in which the owner is told about runs: what happened and what to do next.
import type { Group, Run } from '../types.js';
import type { ErrorClass } from '../wire.js';

export const runNotices = {
  dead: (run: Run, group: Group, error: string): string =>
    `I gave up on run ${run.id} in group \`${group.folder}\` after ${run.attempt} attempts: ${error}\n\n` +
    `Its messages are kept. Try it again with \`npm run -s pinch -- retry ${run.id}\`.`,
  parked: (group: Group, errorClass: ErrorClass, error: string): string =>
    errorClass === 'auth'
      ? `The model refused the key: ${error}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. Correct ANTHROPIC_API_KEY ` +
        '(or ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL) in `.env`; I notice by myself.'
      : `The budget is used up: ${error}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. They go on tomorrow, or when you raise ` +
        'PINCH_BUDGET_USD_DAY or PINCH_BUDGET_USD_GROUP_DAY in `.env` and restart.',
  unparked: (group: Group): string => `The model answers again; group \`${group.folder}\` goes on.`,
};
