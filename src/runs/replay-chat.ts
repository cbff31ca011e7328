// The chat command that runs something again.
import { PinchError } from '../core/errors.js';
import { type ChatCommand, saying } from '../groups/chat-command.js';
import { type ReplayDeps, startReplay } from './replay.js';
import type { StopSwitch } from './stop-switch.js';

const USAGE =
  'Write `/replay <run>` to do it again, or `/replay <run> dry` to see what I would do: then nothing leaves this machine.';

export function replayCommands(deps: ReplayDeps & { stopSwitch: Pick<StopSwitch, 'stopped'> }): ChatCommand[] {
  return [
    {
      usage: '/replay <run> [dry]',
      what: 'do what a run was asked once more; dry: only show what I would do',
      answer: ({ chat, argument }) => saying(() => replay(deps, chat.id, argument)),
    },
  ];
}

function replay(deps: Parameters<typeof replayCommands>[0], chatId: number, argument: string): string {
  const [, number, dryWord] = /^(\d{1,15})(?:\s+(dry))?$/i.exec(argument) ?? [];
  if (number === undefined) return USAGE;
  const dry = dryWord !== undefined;
  const first = deps.store.runs.get(Number(number));
  if (!first) throw new PinchError('not_found', `There is no run ${number}`, { hint: '`pinch runs` lists them' });
  const { id } = startReplay(deps, first, { dry, ...(dry && { reportChat: chatId }) });
  const waits = deps.stopSwitch.stopped() ? ' It waits until `/resume`, for everything is stopped.' : '';
  const what = dry
    ? `Run ${id} does run ${number} again, dry: nothing of it leaves this machine. I tell you here what it would have done.`
    : `Run ${id} does run ${number} again. Its answer goes to the chat of that run.`;
  return what + waits;
}
