// What the owner and a chat are told about runs: what happened and what to do next. What a container said is in it only as a short quotation,
// marked as one: no container speaks as Pinch.
import { raisedTo } from '../budgets/raise.js';
import type { Button } from '../channels/channel.js';
import { quoted } from '../core/one-line.js';
import type { Group, Run } from '../core/types.js';
import type { BudgetRefusal } from '../groups/timeline.js';
import type { ErrorClass } from '../wire.js';

/** What each class of error means for a person. */
const CAUSES: Record<ErrorClass, string> = {
  network: 'no answer from the model',
  overloaded: 'the model back end is overloaded or broken',
  rate_limit: 'the model back end limits our rate',
  auth: 'the model back end refused the key',
  billing: 'the model back end asks for money',
  budget: 'a budget is used up',
  invalid_request: 'the model back end refused the request',
  timeout: 'it took too long',
  crash: 'the work in its container broke down',
  check: 'its check script failed',
  sandbox: 'no container could be started',
  disk: 'the folders of its group are full',
  unknown: 'the reason is unknown',
};

const WRONG_ADDRESS = 'Are ANTHROPIC_BASE_URL and PINCH_MODEL in `.env` right?';

/** Of what was reported, that which the cause does not say. */
function reported(errorClass: ErrorClass, error: string): string {
  const cause = CAUSES[errorClass];
  return quoted((error.startsWith(cause) && error.slice(cause.length).replace(/^[\s:]+/, '')) || error);
}

export const runNotices = {
  /** For the chat the run was for, when that is not where the owner is told. */
  deadForChat:
    'I could not finish this and gave up on it; my owner knows why. Nothing you wrote is lost: ask again, or wait for my owner to retry it.',
  /** The same, when the owner was told about its folders. */
  fullForChat:
    'I had to stop in the middle: the folders I work in are full, and my owner was told. Nothing you wrote is lost: ask again once there is room, or ask me to make some.',
  cutOff: (run: Run): string =>
    `Pinch ended ${run.cutOffs} times in a row while it worked on run ${run.id}, so I gave up on that run.\n\n` +
    `Its messages are kept. \`/retry ${run.id}\` tries it again.`,
  dead: (run: Run, group: Group, errorClass: ErrorClass, error: string): string =>
    `I gave up on run ${run.id} in group \`${group.folder}\` after ${run.attempt} attempts: ${CAUSES[errorClass]}. ${reported(errorClass, error)}\n\n` +
    (errorClass === 'invalid_request' && /\(404\b/.test(error) ? `${WRONG_ADDRESS}\n\n` : '') +
    `Its messages are kept. \`/retry ${run.id}\` tries it again.`,
  /** For the owner and the chat, about a limit of that run alone. */
  overLimit: (run: Run, refusal: BudgetRefusal): string =>
    `I stopped run ${run.id} in the middle. ${refusal.text}\n\nThen \`/retry ${run.id}\` goes on from there. Say "go on" for a new run with the same limit again.`,
  parked: (group: Group, errorClass: ErrorClass, error: string): string =>
    errorClass === 'auth'
      ? `The model back end refused the key. ${reported(errorClass, error)}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. Correct ANTHROPIC_API_KEY ` +
        '(or ANTHROPIC_AUTH_TOKEN, ANTHROPIC_BASE_URL) in `.env`; I notice within two minutes.'
      : `The model back end asks for money. ${reported(errorClass, error)}\n\nRuns of group \`${group.folder}\` wait; nothing is lost. See to your account ` +
        'there; I notice within half an hour.',
  /** For the chat that waits, when that is not where the owner is told. */
  parkedForChat:
    'I cannot work on this yet: the model back end does not let me in. My owner knows why; I go on by myself when it does.',
  /** For the owner, and for a chat that waits, about a budget of a day or a month. */
  overBudget: (refusal: BudgetRefusal): string =>
    `${refusal.text}\n\nWhat is written meanwhile waits; nothing is lost. I go on then, or at once when it is raised.`,
  unparked: (group: Group): string => `The model answers again; group \`${group.folder}\` goes on.`,
};

/** The buttons below a notice about a run. */
export const runButtons = (runId: number): Button[] => [
  { label: 'Try again', value: `run:retry:${runId}` },
  { label: 'Show', value: `run:show:${runId}` },
];

/** Below the notice that its own limit stopped it. */
export function limitButtons(runId: number, refusal: BudgetRefusal): Button[] {
  const { limitMicroUsd: limit, spentMicroUsd: spent, worstCaseMicroUsd: worstCase } = refusal;
  const usd = raisedTo({ limit, spent, worstCase });
  return [
    { label: `Raise to $${usd} for this run`, value: `run:raise:${runId}:${usd}` },
    { label: 'Show', value: `run:show:${runId}` },
  ];
}
