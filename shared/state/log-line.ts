import type { LogEntry } from './document.ts'

/** A log entry for people: `2026-11-28T03:12:05.123Z  changed   lock-state ens5fx/master  LOCKED → FREERUN  push  node FREERUN` */
export function logLine(entry: LogEntry): string {
  const { kind, instance, from, to, told, notAfter } = entry
  const time = entry.at ?? (notAfter === undefined ? '-' : `≤ ${notAfter}`)
  const change = [from, told ?? to].filter((word) => word !== undefined).join(' → ')
  const clock = [kind, instance].filter((word) => word !== undefined).join(' ')
  const cells = [
    time.padEnd(32),
    entry.type.padEnd(9),
    clock.padEnd(36),
    change.padEnd(22),
    entry.via.padEnd(7),
  ]
  return [...cells, `node ${entry.overall}`]
    .join('  ')
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')
    .trimEnd()
}
