import type { Clock, ClockChange } from './clocks/clock.ts'
import type { FaultChange } from './faults.ts'

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
