/** The event kinds of protocol.md §5, under the names that control and tests use. */
export type Kind =
  | 'lock-state'
  | 'os-clock-sync-state'
  | 'clock-class'
  | 'gnss-sync-status'
  | 'sync-state'
  | 'synce-lock-state'
  | 'synce-clock-quality'

/** A number as a publisher's log parser reads it. Strings keep what a JavaScript number cannot hold. */
export type Figure = string | number

/**
 * What the log parser of a publisher has just seen of one clock. The publisher decides what it pushes
 * because of it (`announce: 'auto'`): lock-state, os-clock and SyncE on another word, GNSS only when it
 * gains or loses SYNCHRONIZED, class and quality on another number, and sync-state as its release does.
 */
export interface ClockChange {
  readonly kind: Exclude<Kind, 'sync-state'>
  /** Which clock: `ens5fx/master`, `synce1/ens7f0`; StarlingX: `ptp-inst1`. Default: the kind's usual one. */
  readonly instance?: string
  /** The linuxptp configuration that disciplines it. Two configs may report CLOCK_REALTIME. */
  readonly config?: string
  /** Absent in the moment between a clock's first log line and its first offset (protocol.md §3.4). */
  readonly state?: string
  /** Nanoseconds. */
  readonly offset?: Figure
  readonly clockClass?: Figure
  readonly gpsFix?: Figure
  readonly ql?: Figure
  readonly extQl?: Figure
  /**
   * `always` pushes a repetition, `never` moves what a pull shows and stays silent, `only` pushes what no
   * pull will show (the first ts2phc line of a grandmaster, protocol.md §3.4).
   */
  readonly announce?: 'auto' | 'always' | 'never' | 'only'
}

/** One clock as a publisher knows it, numbers as text. */
export interface Clock {
  readonly kind: Kind
  readonly instance: string
  readonly config: string
  readonly state?: string
  readonly offset: string
  readonly clockClass: string
  readonly gpsFix: string
  readonly ql: string
  readonly extQl: string
}
