// Whether a model call may start: spent, plus what running calls may still cost, plus this call's worst case, against the limits. Pure.

/** All in micro USD; `reserved` is the worst case of the calls that run now. */
export interface BudgetInput {
  spentDay: number;
  reservedDay: number;
  spentGroup: number;
  reservedGroup: number;
  worstCase: number;
  limitDay: number;
  limitGroup: number;
}

export type BudgetDecision =
  | { kind: 'allow' }
  /** `limit` says which cap is in the way, `leftMicroUsd` what remains of it besides running calls. */
  | { kind: 'refuse'; limit: 'day' | 'group'; limitMicroUsd: number; leftMicroUsd: number };

/**
 * Allows a call only when its worst case fits into both limits, so that parallel calls together never exceed one.
 * A call that can cost nothing is always allowed.
 */
export function decideBudget(input: BudgetInput): BudgetDecision {
  const { worstCase, limitDay, limitGroup } = input;
  const leftGroup = limitGroup - input.spentGroup - input.reservedGroup;
  const leftDay = limitDay - input.spentDay - input.reservedDay;
  if (worstCase <= Math.min(leftGroup, leftDay) || worstCase <= 0) return { kind: 'allow' };
  if (worstCase > leftGroup)
    return { kind: 'refuse', limit: 'group', limitMicroUsd: limitGroup, leftMicroUsd: Math.max(0, leftGroup) };
  return { kind: 'refuse', limit: 'day', limitMicroUsd: limitDay, leftMicroUsd: Math.max(0, leftDay) };
}
