import type { CloudEventV1 } from 'cloudevents'
import type { Config, Group, VariableName } from '#shared/config/index.ts'
import type { Log } from '#shared/log.ts'
import type { Metrics } from '#shared/metrics.ts'
import type { Clock } from '#shared/time.ts'
import type { Admit, HttpFunction, HttpRequest, Reply } from './reply.ts'
import type { Terminal } from './terminal.ts'

/** The command line cannot be used; the message says why. Ends the process with exit code 2. */
export class UsageError extends Error {}

export type FlagDefinition = {
  readonly description: string
  /** What stands for its value in the help: `name` gives `--node <name>`. Absent: the flag takes none. */
  readonly value?: string
  /** One letter: `o` gives `-o`. */
  readonly short?: string
  /** Means something only where the function is served. */
  readonly servedOnly?: true
}

/** Flags as given; one that was not given is absent. */
export type Flags = Readonly<Record<string, string | boolean | undefined>>

/** What the world gives a function. Time and randomness enter here and nowhere else. */
export type Host = {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** A fraction in [0, 1), for jitter. */
  readonly random: () => number
  /** A fresh random identifier, for incarnations. */
  readonly newId: () => string
}

/** `operands`: the arguments that are no flags. */
export type RunContext = {
  readonly signal: AbortSignal
  readonly terminal: Terminal
  readonly operands?: readonly string[]
}

/** If it throws, the sender tries again. The Functions Framework does not check events: any attribute may be missing. */
export type OnEvent = (event: Readonly<CloudEventV1<unknown>>) => Promise<void>

/** A function that was opened: what it holds (a store, connections) is held until `close`. */
export type OpenFunction = {
  /** Serves requests. Absent: the function cannot be served. Health and metrics are the host's. */
  readonly handle?: HttpFunction
  /** Answers `GET /metrics` in the host's place; `text` is what the registry has, and the answer where this is absent. */
  readonly scrape?: (request: HttpRequest, text: string) => Promise<Reply>
  readonly onEvent?: OnEvent
  /** What `handle` refuses whatever the body says: the host asks before it takes the body, where it can. */
  readonly admit?: Admit
  /** Runs once and gives the exit code: 0, or 1 where a part failed. What it throws ends with 1, or 2 (ConfigurationError). */
  readonly run?: (flags: Flags, context: RunContext) => Promise<number>
  /** Whether the store answers; readiness shows it. Absent: there is no store. */
  readonly ping?: () => Promise<void>
  /** Writes what waits and lets go of everything. Called once, after the last request or run. */
  close(): Promise<void>
}

/** One function, as its `index.ts` exports it. Nothing is read or opened before `open`. */
export type FunctionDefinition = {
  /** The word on the command line, in FUNCTION_TARGET and in the Functions Framework. */
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly flags: Readonly<Record<string, FlagDefinition>>
  /** What stands in its usage for the arguments that are no flags, at least one; absent, it takes none. */
  readonly operands?: string
  /** Command lines worth showing, each with what it does. */
  readonly examples: Readonly<Record<string, string>>
  /** The groups of variables that it reads, for its help; Output, and Server where it is served, need no mention. */
  readonly environment: readonly Group[]
  /** Variables without which it cannot work: missing, they are reported with all other problems. */
  readonly required: readonly VariableName[]
  /** `ptp-watch <name>` runs it; with `--serve`, by FUNCTION_TARGET or under the Functions Framework it is served. */
  readonly modes: { readonly serve: boolean; readonly run: boolean }
  /** `flags` are those of a command line that has it served; elsewhere there are none. */
  open(config: Config, host: Host, flags?: Flags): Promise<OpenFunction>
}

/** A function that this process has opened, and what it was given. */
export type Opened = { readonly config: Config; readonly host: Host; readonly open: OpenFunction }
