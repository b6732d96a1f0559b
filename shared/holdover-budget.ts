/** The publisher label that sets a node's own holdover budget, in seconds. */
export const BUDGET_LABEL = 'holdover-budget-seconds'

export const BUDGET_WORDS = 'a number of seconds above 0, as text'

/** Seconds; undefined unless it is a number above 0. */
export function budgetOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,8}(?:\.\d{1,3})?$/.test(text)) return undefined
  return Number(text) > 0 ? Number(text) : undefined
}
