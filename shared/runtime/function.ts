import type { CloudEventV1 } from 'cloudevents'
import type { Config, Group, VariableName } from '#shared/config/index.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { Clock } from '#shared/time.ts'
import type { Admit, HttpFunction, HttpRequest, Reply } from './reply.ts'
import type { Terminal } from './terminal.ts'

/** The command line is invalid; the message says why. Ends the process with exit code 2. */
export class UsageError extends Error {}

export type FlagDefinition = {
  readonly description: string
  /** The placeholder for its value in the help: `name` gives `--node <name>`. Absent: the flag takes no value. */
  readonly value?: string
  /** One letter: `o` gives `-o`. */
  readonly short?: string
  /** Only allowed where the function is served. */
  readonly servedOnly?: true
}

/** Flags as given; those not given are absent. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>

/** What a function gets from the outside world. Time and randomness enter only here. */
export type Host = {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A fraction in [0, 1), for jitter. */
  readonly random: () => number
  /** A new random identifier, for incarnations. */
  readonly newId: () => string
}

/** `operands`: the arguments that are not flags. */
export type RunContext = {
  readonly signal: AbortSignal
  readonly terminal: Terminal
  readonly operands?: readonly string[]
}

/**
 * If it throws, the sender tries again. The Functions Framework does not validate events: any attribute may be
 * missing.
 */
export type OnEvent = (event: Readonly<CloudEventV1<unknown>>) => Promise<void>

/** An open function: it holds its resources (a store, connections) until `close`. */
export type OpenFunction = {
  /** Serves requests. Absent: the function cannot be served. The host adds health and metrics. */
  readonly handle?: HttpFunction
  /** Answers `GET /metrics` instead of the host; `text` is what the host would have answered. */
  readonly scrape?: (request: HttpRequest, text: string) => Promise<Reply>
  readonly onEvent?: OnEvent
  /**
   * Requests that `handle` would refuse whatever their body: the host asks before it reads the body, where it can.
   */
  readonly admit?: Admit
  /**
   * Runs once and returns the exit code: 0, or 1 if a part failed. If it throws, the code is 1, or 2 for a
   * ConfigurationError.
   */
  readonly run?: (flags: Flags, context: RunContext) => Promise<number>
  /** Checks that the store answers; readiness reports it. Absent: there is no store. */
  readonly ping?: () => Promise<void>
  /** Writes what is pending and releases everything. Called once, after the last request or run. */
  close(): Promise<void>
}

/** One function, as its `index.ts` exports it. Nothing is read or opened before `open`. */
export type FunctionDefinition = {
  /** Its name on the command line, in FUNCTION_TARGET and in the Functions Framework. */
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly flags: Readonly<Record<string, FlagDefinition>>
  /** The placeholder for its operands in the usage line, of which it needs at least one. Absent: it takes none. */
  readonly operands?: string
  /** Example command lines, each with what it does. */
  readonly examples: Readonly<Record<string, string>>
  /** The groups of variables that it reads, for its help. Output, and Server if it can be served, are added. */
  readonly environment: readonly Group[]
  /** Variables that it cannot do without; if any is missing, it is reported with all other problems. */
  readonly required: readonly VariableName[]
  /**
   * `run`: `ptp-watch <name>` runs it once. `serve`: it is served with `--serve`, by FUNCTION_TARGET, or by the
   * Functions Framework.
   */
  readonly modes: { readonly serve: boolean; readonly run: boolean }
  /** `flags`: those of the command line that serves it; otherwise there are none. */
  open(config: Config, host: Host, flags?: Flags): Promise<OpenFunction>
}

/** An open function with its configuration and host. */
export type Opened = { readonly config: Config; readonly host: Host; readonly open: OpenFunction }
