// What was read decides what may be done unasked. The host sees all that enters a container, so it marks by fact, not by the model's word: a
// session is tainted from what nobody trusted until `/new`. A container knows what every session knew that it worked in, so what counts for a
// call or a connection is its container, not the run that it names.
import { oneLine } from '../core/one-line.js';
import type { Link } from '../gateway/server.js';
import type { PromptMessage } from '../wire.js';
import type { createTaints, Taint } from './rows.js';

interface TaintStore {
  taints: ReturnType<typeof createTaints>;
}
type Marked = Pick<Link, 'groupId' | 'startedAt' | 'dryRun'>;

/** What in these messages nobody trusted; undefined where all of it is what people who may ask said themselves. */
export function untrustedSource(messages: PromptMessage[]): string | undefined {
  for (const { untrusted, forwarded, mayAsk, replyTo, media, sender } of messages) {
    if (untrusted) return untrusted.source;
    if (forwarded) return `a message that ${oneLine(sender, 80)} forwarded`;
    if (mayAsk === false) return `words of ${oneLine(sender, 80)}, who may not ask`;
    if (replyTo?.unverified) return 'a quote of a message that I do not have';
    if (replyTo?.untrusted)
      return `a quote of what ${oneLine(replyTo.sender, 80)} forwarded, or said without being one who may ask`;
    const file = media.find(({ kind }) => kind === 'document');
    if (file) return `the file ${oneLine(file.fileName, 80)}`;
  }
  return undefined;
}

/** Before a runner gets the messages. In the caller's transaction. */
export function markMessages(
  { taints }: TaintStore,
  run: { session: string; groupId: number },
  messages: PromptMessage[],
  now: number,
): void {
  const source = untrustedSource(messages);
  if (source === undefined) taints.touch(run.session, now);
  else taints.mark(run.session, run.groupId, source, now);
}

/** Something enters the group's container and no run is named: whichever works may read it. A job in the background may, too. */
export function markWorking(
  { taints }: TaintStore,
  groupId: number,
  ...[source, now, dryRun]: [source: string, now: number, dryRun?: number | undefined]
): void {
  if (dryRun !== undefined) return void taints.markRun(dryRun, source, now);
  if (!taints.markWorking(groupId, source, now)) taints.mark(`background:${groupId}:${source}`, groupId, source, now);
}

/** Whether all that works in the group's container is marked since it started: another source changes nothing. */
export const isMarked = ({ taints }: TaintStore, { groupId, startedAt, dryRun }: Marked) =>
  dryRun === undefined ? taints.workingUnmarked(groupId, startedAt) === 0 : taints.ofRun(dryRun) !== undefined;

/** What the container behind the link may have read; undefined when nothing, or when the owner turned this off for the group. */
export function taintOf({ taints }: TaintStore, { groupId, startedAt, dryRun }: Marked): Taint | undefined {
  if (!taints.isOn(groupId)) return undefined;
  if (dryRun !== undefined) return taints.ofRun(dryRun);
  return taints.working(groupId) ?? taints.reaching(groupId, startedAt);
}
