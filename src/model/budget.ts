// Whether a model call may start: what is spent, plus this call's worst case, against the limits. Pure.

/** All in micro USD; a call that still runs counts as spent with its worst case. */
interface BudgetInput {
  spentDay: number;
  spentGroup: number;
  worstCase: number;
  limitDay: number;
  limitGroup: number;
}

export type BudgetDecision =
  | { kind: 'allow' }
  /** `limit` says which cap is in the way, `leftMicroUsd` what remains of it. */
  | { kind: 'refuse'; limit: 'day' | 'group'; limitMicroUsd: number; leftMicroUsd: number };

/**
 * Allows a call only when its worst case fits into both limits, so that parallel calls together never exceed one.
 * A call that can cost nothing is always allowed.
 */
export function decideBudget(input: BudgetInput): BudgetDecision {
  const { worstCase, limitDay, limitGroup } = input;
  const leftGroup = limitGroup - input.spentGroup;
  const leftDay = limitDay - input.spentDay;
  if (worstCase <= Math.min(leftGroup, leftDay) || worstCase <= 0) return { kind: 'allow' };
  if (worstCase > leftGroup)
    return { kind: 'refuse', limit: 'group', limitMicroUsd: limitGroup, leftMicroUsd: Math.max(0, leftGroup) };
  return { kind: 'refuse', limit: 'day', limitMicroUsd: limitDay, leftMicroUsd: Math.max(0, leftDay) };
}
