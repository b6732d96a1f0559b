import * as z from 'zod/mini'
import type { ClockChange } from '#local/publishers/index.ts'

const value = z.union([
  z.object({ ResourceAddress: z.string(), data_type: z.string(), value: z.string() }),
  z.object({ resource: z.string(), dataType: z.string(), value: z.string() }),
])

const event = z.object({
  type: z.string(),
  time: z.string(),
  data: z.object({ values: z.array(value) }),
})

export interface Recorded {
  readonly time: string
  readonly isSyncState: boolean
  readonly placeholder: 'ptp-not-set' | 'event-not-found' | undefined
  /** One for each clock that the body names, without config. */
  readonly changes: readonly ClockChange[]
}

const kinds: Readonly<Record<string, ClockChange['kind']>> = {
  'event.sync.ptp-status.ptp-state-change': 'lock-state',
  'event.sync.sync-status.os-clock-sync-state-change': 'os-clock-sync-state',
  'event.sync.ptp-status.ptp-clock-class-change': 'clock-class',
  'event.sync.gnss-status.gnss-state-change': 'gnss-sync-status',
  'event.sync.synce-status.synce-state-change': 'synce-lock-state',
  'event.sync.synce-status.synce-clock-quality-change': 'synce-clock-quality',
}

/** What a recorded push or pull says of which clocks; undefined when it is no event. */
export function readEvent(body: string): Recorded | undefined {
  const parsed = event.safeParse(parse(body))
  if (!parsed.success) return undefined
  const { type, time, data } = parsed.data
  const values = data.values.map((entry) =>
    'resource' in entry
      ? { address: entry.resource, isWord: entry.dataType === 'notification', value: entry.value }
      : { address: entry.ResourceAddress, isWord: entry.data_type === 'notification', value: entry.value },
  )
  const placeholder = (['ptp-not-set', 'event-not-found'] as const).find((why) =>
    values.some(({ address }) => address.endsWith(why)),
  )
  const kind = kinds[type]
  const isReading = kind !== undefined && placeholder === undefined
  return {
    time,
    isSyncState: type.includes('synchronization-state'),
    placeholder,
    changes: isReading ? readChanges(kind, values) : [],
  }
}

interface Entry {
  readonly address: string
  readonly isWord: boolean
  readonly value: string
}

function readChanges(kind: ClockChange['kind'], values: readonly Entry[]): readonly ClockChange[] {
  const changes: ClockChange[] = []
  for (const { address, isWord, value } of values) {
    const path = address.replace(/^\/cluster\/node\/[^/]+\//, '')
    const instance = path.replace(/\/(gpsFix|Ql|extQl|ExtQL|CLOCK_CLASS)$/, '')
    const part = readPart(kind, path, isWord, value)
    const last = changes.at(-1)
    // A word begins the next clock, also when two configs share one address.
    const isNext = last?.instance !== instance || (part.state !== undefined && last.state !== undefined)
    if (isNext) changes.push({ kind, instance, ...part })
    else changes[changes.length - 1] = { ...last, ...part }
  }
  return changes
}

function readPart(kind: ClockChange['kind'], path: string, isWord: boolean, value: string) {
  if (isWord || kind === 'synce-lock-state') return { state: value }
  if (path.endsWith('/gpsFix')) return { gpsFix: value }
  if (path.endsWith('/Ql')) return { ql: value }
  if (/\/ext_?ql$/i.test(path)) return { extQl: value }
  return kind === 'clock-class' ? { clockClass: value } : { offset: value }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
