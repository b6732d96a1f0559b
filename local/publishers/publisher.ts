import type { Clock } from './clocks/model.ts'
import type { FaultChange } from './faults.ts'

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

/** One call of a publisher to a consumer's endpoint. */
export interface Delivery {
  readonly endpoint: string
  /** `null` for the empty validation of a v1 sidecar. */
  readonly body: string | null
  readonly cause: 'event' | 'initial' | 'validation'
  /** The status of the answer, or why there was none. */
  readonly outcome: number | 'refused' | 'timeout' | 'broken' | 'dropped'
}

/** A subscription as the publisher holds it, whatever its dialect calls the fields. */
export interface HeldSubscription {
  readonly id: string
  readonly endpoint: string
  readonly resource: string
}

export interface RestartOptions {
  /** How long nothing listens (ms). Default 0. */
  readonly downMs?: number
  /** How long create and CurrentState fail afterwards (ms). Default: that of the first start. */
  readonly warmUpMs?: number
  /** Whether the clocks are re-announced from replayed logs once warm. Default true. */
  readonly replay?: boolean
  /** v1: which half restarts. Default `publisher`. */
  readonly part?: 'publisher' | 'sidecar'
}

/** A simulated publisher: real sockets outside, switches inside. */
export interface Publisher extends AsyncDisposable {
  readonly node: string
  readonly dialect: 'red-hat-v2' | 'red-hat-v1' | 'starlingx-v2'
  /** Name of the software simulated, for tables and logs: `Red Hat v2 main`. */
  readonly label: string
  /** Origin of the API, such as `http://127.0.0.1:43211`. Throws before `listen()`. */
  readonly url: string
  /** v1: origin of the sidecar's transport port. */
  readonly transport: string | undefined
  /** Where it shows its own figures, whole; undefined where `metricsPort` was not given, and of StarlingX. */
  readonly metrics: string | undefined
  listen(): Promise<void>
  /** Frees sockets and timers; safe to call twice. */
  close(): Promise<void>
  setClock(...changes: readonly ClockChange[]): void
  /** Ends the warm-up at once; a restarted v1 sidecar registers again at once. */
  becomeReady(): void
  faults(change: FaultChange): Promise<void>
  restart(options?: RestartOptions): Promise<void>
  /** Loses the subscriptions. v1: the publisher's registrations; the sidecar's own list stays. */
  forget(): void
  subscriptions(): readonly HeldSubscription[]
  /** The newest 1,000 calls to consumers. */
  readonly deliveries: readonly Delivery[]
  /** Resolves when all that is due has been delivered (what a fault holds back is not due). */
  idle(): Promise<void>
  /** A summary for people and scripts. */
  describe(): PublisherSummary
}

export interface PublisherSummary {
  readonly node: string
  readonly label: string
  readonly url: string
  readonly ready: boolean
  readonly subscriptions: readonly HeldSubscription[]
  readonly clocks: readonly Clock[]
  readonly faults: object
  readonly delivered: number
}

/** What every simulated publisher takes. Time-outs are those of the real ones unless told otherwise. */
export interface PublisherOptions {
  readonly node: string
  readonly host?: string
  readonly port?: number
  /** Red Hat: serves `/metrics` there; 0 takes any free port. Default: nowhere. */
  readonly metricsPort?: number
  /** Nanoseconds since the epoch. */
  readonly now?: () => bigint
  readonly uuid?: () => string
  /** Default 4,000 ms (protocol.md §3.1). */
  readonly warmUpMs?: number
  /** How long a consumer may take to answer an event or an initial notification. Default 2,000 ms. */
  readonly deliveryTimeoutMs?: number
}
