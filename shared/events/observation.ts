/** How a reading reached us. `initial`: posted by a publisher while it creates a subscription. */
export type Via = 'push' | 'initial' | 'poll' | 'broker'

/** One reading of one clock, immutable (design.md §3). */
export type Observation = {
  /** The full name of the node, as the publisher writes it in addresses. */
  readonly node: string
  readonly kind: string
  /** Which clock: `ens5fx/master`, `CLOCK_REALTIME`, `synce1/ens7f0`, `node`. */
  readonly instance: string
  /** The state word in upper case. Absent for kinds with numbers only. */
  readonly state?: string | undefined
  /** Numbers as received: `offset` (ns), `gpsFix`, `clockClass`, `ql`, `extQl`. */
  readonly metrics: Readonly<Record<string, string>>
  /** The publisher's time, RFC 3339, as received. For a pull: when it was queried. */
  readonly at: string
  /** The event had no time, so `at` is when we received it. It may only make a clock's state worse. */
  readonly timeFrom?: 'receipt' | undefined
  /** Our time, RFC 3339. */
  readonly receivedAt: string
  readonly via: Via
  readonly eventId?: string | undefined
}
