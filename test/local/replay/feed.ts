import type { ClockChange, Publisher } from '#local/publishers/index.ts'
import { type Recorded, readEvent } from './readings.ts'
import type { Exchange } from './transcript.ts'

/** The synthetic configurations of the recordings. */
const configOfPort = new Map([
  ['5', 'ptp4l.0.config'],
  ['7', 'ptp4l.1.config'],
  ['9', 'ptp4l.2.config'],
] as [string | undefined, string][])

const sentinel = '-9999999999999999'

/**
 * Brings the simulated clocks to where the recorded ones were. A push is fed as the change that it names
 * (never sync-state, which the model has to derive), and the model decides by itself whether to announce
 * it. A pull feeds what no push ever tells: clocks that nobody was subscribed to, offsets, GNSS fixes.
 */
export function createFeed(publisher: Publisher, exchanges: readonly Exchange[]) {
  const notes = exchanges.map(({ note }) => note ?? '').join('\n')
  let lastConfig = /ptp4l\.\d\.config/.exec(notes)?.[0] ?? 'ptp4l.0.config'

  const clocks = () => publisher.describe().clocks

  /** Which configuration an os-clock change came from: the note's log line says so, or the burst's clock. */
  function configOf(change: ClockChange, note = ''): string {
    if (change.kind !== 'os-clock-sync-state') {
      const port = /ens(\d)/.exec(change.instance ?? '')?.[1]
      return configOfPort.get(port) ?? lastConfig
    }
    const lines = note.split(' | ')
    const line = lines.find((text) => text.includes(`offset ${change.offset} `)) ?? lines.at(-1) ?? ''
    if (line.includes('chronyd')) return 'chronyd.0.config'
    return /\[(ptp4l\.\d\.config)\]/.exec(line)?.[1] ?? lastConfig
  }

  function withConfig(change: ClockChange, note?: string): ClockChange {
    const config = configOf(change, note)
    if (change.kind === 'lock-state') lastConfig = config
    const offset = toPlain(change.offset)
    return { ...change, config, ...(offset === undefined ? {} : { offset }) }
  }

  function isRepeated(change: ClockChange) {
    const known = clocks().find(
      (clock) =>
        clock.kind === change.kind && clock.config === change.config && clock.instance === change.instance,
    )
    return known !== undefined && change.state !== undefined && known.state === change.state
  }

  return {
    /** Feeds the changes that led to a group of recorded pushes, in the order of the events' times. */
    pushes(group: readonly Exchange[]) {
      const seen = new Set<string>()
      const events: { recorded: Recorded; note: string | undefined }[] = []
      for (const { request, note } of group) {
        const recorded = readEvent(request.body ?? '')
        if (!recorded || recorded.isSyncState || seen.has(`${request.body}`)) continue
        seen.add(`${request.body}`)
        events.push({ recorded, note })
      }
      events.sort((a, b) => compare(a.recorded.time, b.recorded.time))
      for (const { recorded, note } of events) {
        for (const plain of recorded.changes) {
          const change = withConfig(plain, note)
          const isFirst = !clocks().some(({ kind, state }) => kind === change.kind && state !== undefined)
          const isUnseen = change.kind === 'lock-state' && isFirst && /ts2phc\[[\d.]+\]:/.test(note ?? '')
          publisher.setClock({
            ...change,
            announce: isUnseen ? 'only' : isRepeated(change) ? 'always' : 'auto',
          })
        }
      }
    },
    /** Feeds what the log held besides, as far as a recorded pull or initial notification shows it. */
    pull(body: string) {
      const recorded = readEvent(body)
      if (!recorded) return
      if (recorded.placeholder === 'event-not-found' && clocks().length === 0) {
        publisher.setClock({ kind: 'lock-state', state: 'LOCKED', offset: -2 })
      }
      const free = new Set(clocks())
      for (const plain of recorded.changes) {
        const candidates = [...free].filter(
          (clock) =>
            clock.kind === plain.kind &&
            (clock.instance === plain.instance ||
              (plain.kind === 'gnss-sync-status' && plain.instance === 'master')),
        )
        const same = candidates.filter((clock) => clock.state === plain.state)
        const clock = same.find((one) => one.offset === plain.offset) ?? same[0] ?? candidates[0]
        if (!clock) {
          const config = unusedConfig(plain, free.size === 0 ? [] : clocks())
          const isTold = plain.kind === 'clock-class' || plain.kind === 'gnss-sync-status'
          publisher.setClock({ ...plain, config, announce: isTold ? 'auto' : 'never' })
          continue
        }
        free.delete(clock)
        const { state, ...figures } = plain
        const isTold = plain.kind === 'clock-class' || plain.kind === 'gnss-sync-status'
        publisher.setClock({
          ...figures,
          instance: clock.instance,
          config: clock.config,
          ...(isTold && state !== undefined ? { state } : {}),
          announce: isTold ? 'auto' : 'never',
        })
      }
    },
    /** One change by hand. */
    clockClass(clockClass: number) {
      publisher.setClock({ kind: 'clock-class', clockClass })
    },
  }

  function unusedConfig(change: ClockChange, known: readonly { kind: string; config: string }[]) {
    const config = configOf(change)
    const isTaken = known.some((clock) => clock.kind === change.kind && clock.config === config)
    return isTaken && change.kind === 'os-clock-sync-state' ? 'ptp4l.1.config' : config
  }
}

/** Undoes the exponents of the v1 hop, which also rounds the sentinel. */
function toPlain(offset: ClockChange['offset']): string | undefined {
  if (offset === undefined) return undefined
  const text = String(offset)
  if (text === '-1e+16') return sentinel
  return text.includes('e') ? String(Number(text)) : text
}

/** RFC 3339 times of one second's precision and up to nine digits compare as text once padded. */
function compare(a: string, b: string) {
  const padded = (time: string) => {
    const [whole = '', fraction = ''] = time.slice(0, -1).split('.')
    return `${whole}.${fraction.padEnd(9, '0')}`
  }
  return padded(a) < padded(b) ? -1 : padded(a) > padded(b) ? 1 : 0
}
