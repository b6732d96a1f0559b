import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Step } from '#shared/publishers/reconcile/plan.ts'
import type { Reconciled } from '#shared/publishers/reconcile/reconciler.ts'
import { redact } from '#shared/redact.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import type { Mode, SubscribeOutcome, Progress } from './run.ts'

export const CLEAR_LINE = '\r\u001b[2K'

/** `7 created, 2 removed`: only counts above 0. */
const counted = (counts: readonly [count: number, what: string][]) =>
  counts.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []))

/** Shows progress: a line that is rewritten on a terminal, one line per publisher elsewhere. */
export function createProgress({ interactive, columns, err }: Terminal, { remove }: Mode): Progress {
  let failed = 0
  let isWaiting = false
  const remarks = new Set<string>()
  return ({ settled, waiting = [], done, total }) => {
    if (settled?.outcome === 'failed') failed += 1
    isWaiting ||= waiting.length > 0
    if (interactive) {
      const parts = [
        `${remove ? 'removing' : 'subscribing'} ${done}/${total}`,
        ...counted([[failed, 'failed']]),
      ]
      if (isWaiting && done < total) parts.push(`waiting for ${total - done}`)
      return err(`${CLEAR_LINE}${parts.join(', ').slice(0, columns - 1)}`)
    }
    if (settled !== undefined) err(`${done}/${total} ${lineOf(settled)}\n`)
    for (const { node, problems } of waiting) {
      // While it may still succeed, the first of several similar problems is enough.
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
      const remark = `waiting for ${node}: ${problems[0] ?? ''}${more}\n`
      if (!remarks.has(remark)) err(remark)
      remarks.add(remark)
    }
  }
}

function lineOf(one: Reconciled): string {
  const { node, dialect, outcome, applied, lacking } = one
  const name = dialect === undefined ? node : `${node} (${dialect})`
  // The reason is printed once, at the end.
  if (outcome === 'failed') return `${name}: failed`
  if (applied === undefined) return `${name}: checked`
  const parts = doneIn([one])
  if (lacking.length > 0) parts.push(`not offered: ${lacking.map(({ kind }) => kind).join(' ')}`)
  return `${name}: ${parts.join(', ') || 'nothing to do'}`
}

function doneIn(all: readonly Reconciled[]): string[] {
  const applied = all.flatMap((one) => one.applied ?? [])
  const sum = <T>(list: readonly T[], of: (one: T) => number) =>
    list.reduce((total, one) => total + of(one), 0)
  return counted([
    [sum(applied, ({ held }) => held.size), 'subscriptions held'],
    [sum(applied, ({ created }) => created.length), 'created'],
    [sum(applied, ({ adopted }) => adopted.length), 'adopted'],
    [sum(applied, ({ restored }) => restored.length), 'restored'],
    [sum(applied, ({ removed }) => removed), 'removed'],
    [sum(all, ({ foreign }) => foreign), 'foreign, left alone'],
  ])
}

/** Prints the end of a run: the plan if asked for, failures by name, and a line of totals. Returns the exit code. */
export function printOutcome(
  { out, err, interactive }: Terminal,
  outcome: SubscribeOutcome,
  mode: Mode,
): number {
  const { results, withheld, failure } = outcome
  const failed = results.filter((one) => one.outcome === 'failed')
  if (failure !== undefined) err(`failed: ${failure.message}\n`)
  if (mode.dryRun) for (const one of results) out(planText(one))
  for (const { node, url, notes } of results)
    for (const note of notes) err(`warning: ${node} (${url}): ${note}\n`)
  for (const { node, url, problems } of failed)
    for (const problem of problems) err(`failed: ${node} (${url}): ${problem}\n`)
  const lacking = interactive ? results.flatMap((one) => one.lacking) : []
  for (const [kind, { length }] of Map.groupBy(lacking, (one) => one.kind))
    err(`not offered: ${kind}, by the hosts of ${length} of ${results.length} publishers\n`)
  const done = `${results.length - failed.length} of ${results.length} publishers ${mode.dryRun ? 'checked, nothing changed' : 'done'}`
  const planned = mode.dryRun ? plannedIn(results.flatMap(({ plan }) => plan)) : []
  out(`${[done, ...planned, ...doneIn(results)].join(', ')}\n`)
  if (mode.remove)
    err('The next poll or subscribe recreates these subscriptions: stop scheduled polls first\n')
  if (withheld !== undefined) err(`failed: ${withheld}\n`)
  return failed.length === 0 && failure === undefined && withheld === undefined ? 0 : 1
}

function plannedIn(steps: readonly Step[]): string[] {
  const of = (verb: Step['do']) => steps.filter((step) => step.do === verb).length
  const created = steps.filter((step) => step.do === 'create')
  const replaced = created.filter(({ replaces }) => replaces !== undefined).length
  const mayLack = created.some(({ resource }) => mayBeLacking(resource.kind))
  return counted([
    [created.length, mayLack ? 'or fewer to create' : 'to create'],
    [of('keep'), 'to keep'],
    [of('remove') + replaced, 'to remove'],
    [of('blocked'), 'blocked'],
  ])
}

/** Whether a host without the hardware rejects it: reported as not offered, not as a failure. */
const mayBeLacking = (kind: string) => kind === 'gnss-sync-status' || isSyncE(kind)

function planText({ node, url, dialect, plan, foreign, outcome }: Reconciled): string {
  const head = `${node}  ${dialect ?? 'unknown'}  ${url}\n`
  if (outcome === 'failed' && plan.length === 0) return `${head}  no plan\n`
  const lines = plan.length === 0 ? ['nothing to do'] : plan.map(stepText)
  if (foreign > 0) lines.push(`leave    ${foreign} foreign`)
  return head + lines.map((line) => `  ${line}\n`).join('')
}

function stepText(step: Step): string {
  switch (step.do) {
    case 'remove':
      return `remove   ${step.subscription.address}  ${redact(step.subscription.endpoint)}  ${step.why}`
    case 'create': {
      const { kind, address } = step.resource
      const old = step.replaces === undefined ? '' : `  instead of ${redact(step.replaces.endpoint)}`
      return `create   ${kind}  ${address}${mayBeLacking(kind) ? '  if the host has it' : ''}${old}`
    }
    case 'keep':
      return `${step.refresh ? 'refresh' : 'keep   '}  ${step.resource.kind}  ${step.resource.address}`
    case 'blocked':
      return `blocked  ${step.resource.kind}  by ${redact(step.by.endpoint)}`
  }
}
