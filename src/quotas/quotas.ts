// What is known of the disk: what each group uses, and whether the whole machine has room. In memory: after a start it is counted anew.
import type { Config } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { type Level, levelOf, shareOf } from './decide.js';
import type { Use } from './measure.js';
import { diskTexts } from './text.js';

export interface Counted {
  use: Use;
  share: number;
  level: Level;
}

export type Quotas = ReturnType<typeof createQuotas>;

export function createQuotas({ groupQuota: quota }: Pick<Config, 'groupQuota'>) {
  const counted = new Map<number, Counted>();
  let isLow = false;
  const fullUse = (groupId: number): Use | undefined => {
    const known = counted.get(groupId);
    return known && known.level !== 'ok' ? known.use : undefined;
  };
  return {
    quota,
    of: (groupId: number): Counted | undefined => counted.get(groupId),
    /** Returns the level before. */
    count(groupId: number, use: Use): Level {
      const before = counted.get(groupId)?.level ?? 'ok';
      const share = shareOf(use, quota);
      counted.set(groupId, { use, share, level: levelOf(share, before) });
      return before;
    },
    setLow(low: boolean): void {
      isLow = low;
    },
    isLow: (): boolean => isLow,
    /** Throws `disk_full` when the host must not write a file for this group now. */
    checkRoom(groupId: number): void {
      if (isLow) throw new PinchError('disk_full', diskTexts.lowRefused);
      const use = fullUse(groupId);
      if (use) throw new PinchError('disk_full', diskTexts.refused(use, quota));
    },
    /** What an agent of the group must know before it works. */
    noteFor(groupId: number): string | undefined {
      const use = fullUse(groupId);
      return use && diskTexts.forAgent(use, quota);
    },
  };
}
