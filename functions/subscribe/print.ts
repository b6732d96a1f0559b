import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Step } from '#shared/publishers/reconcile/plan.ts'
import type { Reconciled } from '#shared/publishers/reconcile/reconciler.ts'
import { redact } from '#shared/redact.ts'
import type { Terminal } from '#shared/runtime/terminal.ts'
import type { Mode, Progress } from './run.ts'

const CLEAR_LINE = '\r\u001b[2K'

/** Shows a run: one line that is rewritten on a terminal, one line for each publisher elsewhere. */
export function createProgress(terminal: Terminal, { remove }: Mode): Progress & { end(): void } {
  let failed = 0
  let waitingFor = 0
  let count = { done: 0, total: 0 }
  let isShown = false
  const remarks = new Set<string>()

  const rewrite = () => {
    const parts = [`${remove ? 'removing' : 'subscribing'} ${count.done}/${count.total}`]
    if (failed > 0) parts.push(`${failed} failed`)
    if (waitingFor > 0) parts.push(`waiting for ${waitingFor}`)
    terminal.err(`${CLEAR_LINE}${parts.join(', ').slice(0, terminal.columns - 1)}`)
    isShown = true
  }

  return {
    settled(one, now) {
      count = now
      if (waitingFor > 0) waitingFor -= 1
      if (one.outcome === 'failed') failed += 1
      if (terminal.interactive) rewrite()
      else terminal.err(`${count.done}/${count.total} ${lineOf(one)}\n`)
    },
    waiting(all) {
      waitingFor = all.length
      if (terminal.interactive) return rewrite()
      for (const { node, problems } of all) {
        const remark = `waiting for ${node}: ${firstOf(problems)}\n`
        if (!remarks.has(remark)) terminal.err(remark)
        remarks.add(remark)
      }
    },
    end() {
      if (isShown) terminal.err(CLEAR_LINE)
    },
  }
}

/** The end of a run: the plan where one was asked for, the failures by name, a line of totals. */
export function printOutcome(terminal: Terminal, results: readonly Reconciled[], mode: Mode): void {
  const { dryRun, remove } = mode
  if (dryRun) for (const one of results) terminal.out(planText(one))
  for (const { node, url, notes } of results) {
    for (const note of notes) terminal.err(`warning: ${node} (${url}): ${note}\n`)
  }
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  for (const { node, url, problems } of failed) {
    for (const problem of problems) terminal.err(`failed: ${node} (${url}): ${problem}\n`)
  }
  const lacking = terminal.interactive ? results.flatMap((one) => one.lacking) : []
  for (const [kind, { length }] of Map.groupBy(lacking, (one) => one.kind)) {
    terminal.err(`not offered: ${kind}, by the hosts of ${length} of ${results.length} publishers\n`)
  }
  const sum = (count: (one: Reconciled) => number | undefined) =>
    results.reduce((total, one) => total + (count(one) ?? 0), 0)
  const totals: [count: number, what: string][] = [
    ...(dryRun ? plannedIn(results.flatMap(({ plan }) => plan)) : []),
    [sum(({ applied }) => applied?.held.size), 'subscriptions held'],
    [sum(({ applied }) => applied?.created.length), 'created'],
    [sum(({ applied }) => applied?.adopted.length), 'adopted'],
    [sum(({ applied }) => applied?.restored.length), 'restored'],
    [sum(({ applied }) => applied?.removed), 'removed'],
    [sum(({ foreign }) => foreign), 'foreign, left alone'],
  ]
  const done = `${results.length - failed.length} of ${results.length} publishers`
  const parts = totals.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []))
  terminal.out(`${[`${done} ${dryRun ? 'checked, nothing changed' : 'done'}`, ...parts].join(', ')}\n`)
  if (remove) {
    terminal.err('The next poll or subscribe recreates these subscriptions: stop scheduled polls first\n')
  }
}

function plannedIn(steps: readonly Step[]): [count: number, what: string][] {
  const of = (verb: Step['do']) => steps.filter((step) => step.do === verb).length
  const mayLack = steps.some((step) => step.do === 'create' && mayBeLacking(step.resource.kind))
  const replaced = steps.filter((step) => step.do === 'create' && step.replaces !== undefined).length
  return [
    [of('create'), mayLack ? 'or fewer to create' : 'to create'],
    [of('keep'), 'to keep'],
    [of('remove') + replaced, 'to remove'],
    [of('blocked'), 'blocked'],
  ]
}

/** Whether hosts without the hardware refuse it: then it is reported as not offered, and nothing is created. */
function mayBeLacking(kind: string): boolean {
  return kind === 'gnss-sync-status' || isSyncE(kind)
}

/** While it may still come right, the first of several problems, mostly alike, is enough. */
function firstOf([first = '', ...more]: readonly string[]): string {
  return more.length === 0 ? first : `${first} (and ${more.length} more)`
}

function lineOf({ node, dialect, outcome, applied, lacking }: Reconciled): string {
  const name = dialect === undefined ? node : `${node} (${dialect})`
  // The reason is printed once, at the end.
  if (outcome === 'failed') return `${name}: failed`
  if (applied === undefined) return `${name}: checked`
  const { held, created, adopted, removed } = applied
  const parts = [
    held.size > 0 && `${held.size} held`,
    created.length > 0 && `${created.length} created`,
    adopted.length > 0 && `${adopted.length} adopted`,
    removed > 0 && `${removed} removed`,
    lacking.length > 0 && `not offered: ${lacking.map(({ kind }) => kind).join(' ')}`,
  ].filter((part) => part !== false)
  return `${name}: ${parts.join(', ') || 'nothing to do'}`
}

function planText({ node, url, dialect, plan, foreign, outcome }: Reconciled): string {
  const head = `${node}  ${dialect ?? 'unknown'}  ${url}\n`
  if (outcome === 'failed' && plan.length === 0) return `${head}  no plan\n`
  const lines = plan.length === 0 ? ['  nothing to do\n'] : plan.map((step) => `  ${stepText(step)}\n`)
  if (foreign > 0) lines.push(`  leave    ${foreign} foreign\n`)
  return `${head}${lines.join('')}`
}

function stepText(step: Step): string {
  if (step.do === 'remove') {
    const { address, endpoint } = step.subscription
    return `remove   ${address}  ${redact(endpoint)}  ${step.why}`
  }
  const { kind, address } = step.resource
  switch (step.do) {
    case 'create': {
      const condition = mayBeLacking(kind) ? '  if the host has it' : ''
      const old = step.replaces === undefined ? '' : `  instead of ${redact(step.replaces.endpoint)}`
      return `create   ${kind}  ${address}${condition}${old}`
    }
    case 'keep':
      return `${step.refresh ? 'refresh' : 'keep   '}  ${kind}  ${address}`
    case 'blocked':
      return `blocked  ${kind}  by ${redact(step.by.endpoint)}`
  }
}
