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
  if (input.worstCase <= 0) return { kind: 'allow' };
  const leftGroup = input.limitGroup - input.spentGroup - input.reservedGroup;
  if (input.worstCase > leftGroup) return refuse('group', input.limitGroup, leftGroup);
  const leftDay = input.limitDay - input.spentDay - input.reservedDay;
  if (input.worstCase > leftDay) return refuse('day', input.limitDay, leftDay);
  return { kind: 'allow' };
}

function refuse(limit: 'day' | 'group', limitMicroUsd: number, left: number): BudgetDecision {
  return { kind: 'refuse', limit, limitMicroUsd, leftMicroUsd: Math.max(0, left) };
}
