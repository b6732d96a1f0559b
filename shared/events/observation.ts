/** How a reading reached us. `initial` is the reading that a publisher posts while it creates a subscription. */
export type Via = 'push' | 'initial' | 'poll' | 'broker'

/** One reading of one clock, immutable (design.md §3). */
export type Observation = {
  /** The full name of the node, as the publisher writes it in addresses. */
  readonly node: string
  readonly kind: string
  /** Which clock: `ens5fx/master`, `CLOCK_REALTIME`, `synce1/ens7f0`, `node`. */
  readonly instance: string
  /** The word of state, upper case. Absent for a kind of numbers. */
  readonly state?: string | undefined
  /** Numbers as received: `offset` (ns), `gpsFix`, `clockClass`, `ql`, `extQl`. */
  readonly metrics: Readonly<Record<string, string>>
  /** The publisher's time, RFC 3339, as received. Of a pull: when it was asked. */
  readonly at: string
  /** The event had no time: `at` is that of its receipt, on our clock. It may worsen a clock, never better it. */
  readonly timeFrom?: 'receipt' | undefined
  /** Our time, RFC 3339. */
  readonly receivedAt: string
  readonly via: Via
  readonly eventId?: string | undefined
}
