import type { Kept } from '#shared/publishers/reconcile/reconciler.ts'
import type { Step } from '#shared/publishers/reconcile/plan.ts'
import { redact } from '#shared/redact.ts'
import { isSyncE } from '#shared/publishers/dialects/addresses.ts'
import type { Terminal } from '#shared/runtime/function.ts'
import type { Mode, Progress } from './run.ts'

/** Shows a run: one line that is rewritten on a terminal, one line for each publisher elsewhere. */
export function createProgress(terminal: Terminal, mode: Mode): Progress & { end(): void } {
  const verb = mode === 'remove' || mode === 'plan-removal' ? 'removing' : 'subscribing'
  let failures = 0
  let shown = false
  let waitingFor = 0
  let done = 0
  let total = 0

  const remarks = new Set<string>()
  const remark = (text: string) => {
    if (!remarks.has(text)) terminal.err(text)
    remarks.add(text)
  }

  const rewrite = () => {
    const parts = [`${verb} ${done}/${total}`]
    if (failures > 0) parts.push(`${failures} failed`)
    if (waitingFor > 0) parts.push(`waiting for ${waitingFor}`)
    terminal.err(`\r\u001b[2K${parts.join(', ').slice(0, terminal.columns - 1)}`)
    shown = true
  }

  return {
    settled(kept, count) {
      done = count.done
      total = count.total
      if (waitingFor > 0) waitingFor -= 1
      if (kept.outcome === 'failed') failures += 1
      if (terminal.interactive) rewrite()
      else terminal.err(`${done}/${total} ${lineOf(kept)}\n`)
    },
    waiting(kept) {
      waitingFor = kept.length
      if (terminal.interactive) rewrite()
      else for (const one of kept) remark(`waiting for ${one.node}: ${firstOf(one.problems)}\n`)
    },
    end() {
      if (shown) terminal.err('\r\u001b[2K')
    },
  }
}

/** The end of a run: the plan where one was asked for, the failures by name, a line of totals. */
export function printOutcome(terminal: Terminal, results: readonly Kept[], mode: Mode): void {
  const dryRun = mode === 'plan' || mode === 'plan-removal'
  if (dryRun) for (const kept of results) terminal.out(planText(kept))
  for (const { node, url, notes } of results) {
    for (const note of notes) terminal.err(`warning: ${node} (${url}): ${note}\n`)
  }
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  for (const kept of failed) {
    for (const problem of kept.problems) terminal.err(`failed: ${kept.node} (${kept.url}): ${problem}\n`)
  }
  if (terminal.interactive) {
    const lacking = Map.groupBy(
      results.flatMap((kept) => kept.lacking),
      ({ kind }) => kind,
    )
    for (const [kind, { length }] of lacking) {
      terminal.err(`not offered: ${kind}, by the hosts of ${length} of ${results.length} publishers\n`)
    }
  }
  const sum = (count: (kept: Kept) => number) => results.reduce((total, kept) => total + count(kept), 0)
  const parts = [
    `${results.length - failed.length} of ${results.length} publishers ${dryRun ? 'checked, nothing changed' : 'done'}`,
  ]
  const add = (count: number, what: string) => {
    if (count > 0) parts.push(`${count} ${what}`)
  }
  if (dryRun) {
    const steps = results.flatMap(({ plan }) => plan)
    const mayLack = steps.some((step) => step.do === 'create' && mayBeLacking(step.resource.kind))
    const of = (...verbs: readonly Step['do'][]) => steps.filter((step) => verbs.includes(step.do)).length
    add(of('create'), mayLack ? 'or fewer to create' : 'to create')
    add(of('keep'), 'to keep')
    const replaced = steps.filter((step) => step.do === 'create' && step.replaces !== undefined).length
    add(of('remove', 'retire') + replaced, 'to remove')
    add(of('blocked'), 'blocked')
  }
  add(
    sum(({ applied }) => applied?.held.size ?? 0),
    'subscriptions held',
  )
  add(
    sum(({ applied }) => applied?.created.length ?? 0),
    'created',
  )
  add(
    sum(({ applied }) => applied?.adopted.length ?? 0),
    'adopted',
  )
  add(
    sum(({ applied }) => applied?.restored.length ?? 0),
    'restored',
  )
  add(
    sum(({ applied }) => applied?.removed ?? 0),
    'removed',
  )
  add(
    sum(({ strangers }) => strangers),
    'of others left alone',
  )
  terminal.out(`${parts.join(', ')}\n`)
  if (mode === 'remove' || mode === 'plan-removal')
    terminal.err('The next poll or subscribe recreates these subscriptions: stop scheduled polls first\n')
}

/** Whether hosts without the hardware refuse it: then it is reported as not offered, and nothing is created. */
function mayBeLacking(kind: string): boolean {
  return kind === 'gnss-sync-status' || isSyncE(kind)
}

/** While it may still come right, the first of several problems, mostly alike, is enough. */
function firstOf([first = '', ...more]: readonly string[]): string {
  return more.length === 0 ? first : `${first} (and ${more.length} more)`
}

function lineOf({ node, dialect, outcome, applied, lacking }: Kept): string {
  const name = dialect === undefined ? node : `${node} (${dialect})`
  // Why is told once, at the end.
  if (outcome === 'failed') return `${name}: failed`
  if (applied === undefined) return `${name}: checked`
  const parts = [
    applied.held.size > 0 ? `${applied.held.size} held` : '',
    applied.created.length > 0 ? `${applied.created.length} created` : '',
    applied.adopted.length > 0 ? `${applied.adopted.length} adopted` : '',
    applied.removed > 0 ? `${applied.removed} removed` : '',
    lacking.length > 0 ? `not offered: ${lacking.map(({ kind }) => kind).join(' ')}` : '',
  ].filter((part) => part !== '')
  return `${name}: ${parts.join(', ') || 'nothing to do'}`
}

function planText({ node, url, dialect, plan, strangers, outcome }: Kept): string {
  const head = `${node}  ${dialect ?? 'unknown'}  ${url}\n`
  if (outcome === 'failed' && plan.length === 0) return `${head}  no plan\n`
  const lines = plan.map((step) => `  ${stepText(step)}\n`)
  if (plan.length === 0) lines.push('  nothing to do\n')
  if (strangers > 0) lines.push(`  leave    ${strangers} of others\n`)
  return `${head}${lines.join('')}`
}

function stepText(step: Step): string {
  switch (step.do) {
    case 'create':
      return `create   ${step.resource.kind}  ${step.resource.address}${mayBeLacking(step.resource.kind) ? '  if the host has it' : ''}${step.replaces === undefined ? '' : `  instead of ${redact(step.replaces.endpoint)}`}`
    case 'keep':
      return `${step.refresh ? 'refresh' : 'keep   '}  ${step.resource.kind}  ${step.resource.address}`
    case 'blocked':
      return `blocked  ${step.resource.kind}  by ${redact(step.by.endpoint)}`
    case 'remove':
      return `remove   ${step.subscription.address}  ${redact(step.subscription.endpoint)}  ${step.why}`
    case 'retire':
      return `remove   ${step.subscription.address}  ${redact(step.subscription.endpoint)}  replaced`
  }
}
