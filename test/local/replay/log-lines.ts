import type { ClockChange } from '#local/publishers/index.ts'
import type { Release } from '#local/publishers/red-hat/resources.ts'

/** Turns lines of the linuxptp processes into what a publisher's log parser makes of them. */
export interface LogReader {
  /** One line, as the daemon writes it. Lines that say nothing about a clock give nothing. */
  read(line: string): readonly ClockChange[]
  /** The hold-over time is over: what is still in HOLDOVER is FREERUN. */
  endHoldover(): readonly ClockChange[]
}

interface Config {
  readonly name: string
  /** Alias of the port: `ens5fx`. */
  alias?: string
  isSlave: boolean
  isKilled: boolean
  /** A grandmaster's lock-state follows T-GM-STATUS, an ordinary clock's the offsets of ptp4l. */
  isGrandmaster: boolean
  state?: string
  offset: string
  dpllOffset: string
  hasOsClock: boolean
}

/** No offset, because the process that measures it is gone (protocol.md §4.3). */
const sentinel = '-9999999999999999'

/** Offsets strictly inside count as locked, in ns (protocol.md §4.3). */
const threshold = 100

const stateOf: Readonly<Record<string, string>> = { s0: 'FREERUN', s1: 'HOLDOVER', s2: 'LOCKED' }

/** The log parser of a release, for ordinary clocks, grandmasters, SyncE and chronyd. T-BC is not read. */
export function createLogReader(release: Release): LogReader {
  const configs = new Map<string, Config>()

  function configNamed(number: string): Config {
    const name = `ptp4l.${number}.config`
    const known = configs.get(name)
    if (known) return known
    const config = {
      name,
      isSlave: false,
      isKilled: false,
      isGrandmaster: false,
      offset: '0',
      dpllOffset: '0',
      hasOsClock: false,
    }
    configs.set(name, config)
    return config
  }

  function lock(config: Config, state: string, offset: string): ClockChange {
    config.state = state
    config.offset = offset
    return { kind: 'lock-state', config: config.name, instance: `${config.alias}/master`, state, offset }
  }

  function osClock(config: Config, state: string, offset?: string): ClockChange {
    config.hasOsClock = true
    return { kind: 'os-clock-sync-state', config: config.name, state, ...(offset ? { offset } : {}) }
  }

  /** A clock that is known by name only: a pull shows a bare metric, 4.14 nothing (protocol.md §3.4). */
  function firstSight(config: Config): readonly ClockChange[] {
    if (config.state !== undefined || release === '4.14') return []
    return [
      { kind: 'lock-state', config: config.name, instance: 'master', offset: 0 },
      ...(config.hasOsClock
        ? []
        : [{ kind: 'os-clock-sync-state', config: config.name, offset: 0 } satisfies ClockChange]),
    ]
  }

  function becomeSlave(config: Config): readonly ClockChange[] {
    config.isSlave = true
    config.isKilled = false
    if (release === '4.14' && config.state === 'HOLDOVER') return [lock(config, 'FREERUN', sentinel)]
    return firstSight(config)
  }

  function leaveSlave(config: Config): readonly ClockChange[] {
    config.isSlave = false
    if (config.state !== 'LOCKED') return []
    return [lock(config, 'HOLDOVER', config.offset), ...osClockInHoldover(config)]
  }

  function osClockInHoldover(config: Config): readonly ClockChange[] {
    if (!config.hasOsClock || release === 'main') return []
    return [osClock(config, 'FREERUN', release === '4.18' ? sentinel : undefined)]
  }

  function sampleOsClock(config: Config, servo: string, offset: string): readonly ClockChange[] {
    const own = isLocked(servo, offset) ? 'LOCKED' : 'FREERUN'
    const isWaiting = !config.isSlave && !config.isKilled && !config.isGrandmaster
    if (release === '4.14' && isWaiting && config.state !== undefined) return []
    if (release !== 'main') return [osClock(config, own, offset)]
    const ptp = config.isGrandmaster && config.state === 'HOLDOVER' ? 'LOCKED' : config.state
    return [osClock(config, worse(own, ptp), offset)]
  }

  function kill(config: Config): readonly ClockChange[] {
    config.isKilled = true
    return [
      lock(config, 'FREERUN', sentinel),
      ...(config.hasOsClock ? [osClock(config, 'FREERUN', sentinel)] : []),
    ]
  }

  const readers: readonly [RegExp, (parts: readonly string[]) => readonly ClockChange[]][] = [
    [
      /\[ptp4l\.(\d)\.config\] port \d+ \((\w+)\): (\w+) to (\w+)/,
      ([number = '', port = '', from, to]) => {
        const config = configNamed(number)
        config.alias = aliasOf(port, release)
        if (to === 'SLAVE') return becomeSlave(config)
        return from === 'SLAVE' ? leaveSlave(config) : []
      },
    ],
    [
      /^ptp4l.*\[ptp4l\.(\d)\.config\] master offset (-?\d+) (s\d)/,
      ([number = '', offset = '', servo = '']) => {
        const config = configNamed(number)
        if (!config.isSlave || config.isGrandmaster) return []
        if (isLocked(servo, offset)) return [lock(config, 'LOCKED', offset)]
        // While free-running, the offset stays that of the transition.
        return config.state === 'FREERUN' ? [] : [lock(config, 'FREERUN', offset)]
      },
    ],
    [
      /\[ptp4l\.(\d)\.config\] CLOCK_REALTIME phc offset (-?\d+) (s\d)/,
      ([number = '', offset = '', servo = '']) => sampleOsClock(configNamed(number), servo, offset),
    ],
    [
      /\[ptp4l\.(\d)\.config\] CLOCK_CLASS_CHANGE (\d+)/,
      ([number = '', clockClass = '']) => {
        const { name, alias } = configNamed(number)
        return [{ kind: 'clock-class', config: name, instance: `${alias}/master`, clockClass }]
      },
    ],
    [/^ptp4l.*\[ptp4l\.(\d)\.config\] PTP_PROCESS_STATUS:0/, ([number = '']) => kill(configNamed(number))],
    [
      /^phc2sys.*\[ptp4l\.(\d)\.config\] PTP_PROCESS_STATUS:0/,
      ([number = '']) => [osClock(configNamed(number), 'FREERUN', sentinel)],
    ],
    [
      /\[chronyd\.0\.config\] (Selected source|Can't synchronise)/,
      ([what]) => [
        {
          kind: 'os-clock-sync-state',
          config: 'chronyd.0.config',
          state: what === 'Selected source' ? 'LOCKED' : 'FREERUN',
          offset: 0,
        },
      ],
    ],
    [
      /^dpll.*\[ts2phc\.(\d)\.config\] (\w+) .*offset (-?\d+) /,
      ([number = '', port = '', offset = '']) => {
        const config = configNamed(number)
        config.isGrandmaster = true
        config.alias = aliasOf(port, release)
        config.dpllOffset = offset
        return []
      },
    ],
    [
      /^ts2phc.*\[ts2phc\.(\d)\.config\] (\w+) master offset (-?\d+) (s\d)/,
      ([number = '', , offset = '0', servo = '']) => {
        const config = configNamed(number)
        if (config.state !== undefined) return []
        const state = isLocked(servo, offset) ? 'LOCKED' : 'FREERUN'
        const instance = `${config.alias}/master`
        return [
          { kind: 'lock-state', config: config.name, instance, state, offset, announce: 'only' },
          ...firstSight(config),
        ]
      },
    ],
    [
      /\[ts2phc\.(\d)\.config\] (\w+) T-GM-STATUS (s\d)/,
      ([number = '', , status = '']) => {
        const config = configNamed(number)
        return [lock(config, stateOf[status] ?? 'FREERUN', config.dpllOffset)]
      },
    ],
    [
      /\[ts2phc\.(\d)\.config\] (\w+) gnss_status (\d) offset (-?\d+) (s\d)/,
      ([number = '', port = '', gpsFix = '', offset = '', status = '']) => {
        const state = gnssState(status, Number(gpsFix), release)
        const instance = `${aliasOf(port, release)}/master`
        const { name } = configNamed(number)
        return [{ kind: 'gnss-sync-status', config: name, instance, state, offset, gpsFix }]
      },
    ],
    [
      /\[synce4l\.0\.config\] (\w+) device (\w+) eec_state \w+ .*(s\d)/,
      ([port = '', device = '', status = '']) => [
        { kind: 'synce-lock-state', instance: `${device}/${port}`, state: stateOf[status] ?? 'FREERUN' },
      ],
    ],
    [
      /\[synce4l\.0\.config\] (\w+) clock_quality \w+ device (\w+) (?:ext_ql (\w+) )?.*\bql (\w+)/,
      ([port = '', device = '', extQl = '0xff', ql = '']) => [
        { kind: 'synce-clock-quality', instance: `${device}/${port}`, ql: Number(ql), extQl: Number(extQl) },
      ],
    ],
  ]

  return {
    read(line) {
      for (const [pattern, reader] of readers) {
        const match = pattern.exec(line)
        if (match) return reader(match.slice(1))
      }
      return []
    },
    endHoldover: () =>
      [...configs.values()]
        .filter(({ state, isGrandmaster }) => state === 'HOLDOVER' && !isGrandmaster)
        .flatMap((config) => [
          lock(config, 'FREERUN', config.offset),
          ...(release === '4.18' ? osClockInHoldover(config) : []),
        ]),
  }
}

function isLocked(servo: string, offset: string): boolean {
  return servo === 's2' && Math.abs(Number(offset)) < threshold
}

const order = ['LOCKED', 'HOLDOVER', 'FREERUN']

function worse(a: string, b: string | undefined): string {
  return b !== undefined && order.indexOf(b) > order.indexOf(a) ? b : a
}

/** `ens5f0` is `ens5fx`; the recorded boundary clock of main alone had no alias (protocol.md §5). */
function aliasOf(port: string, release: Release): string {
  return release === 'main' && port.startsWith('ens9') ? port : port.replace(/\d$/, 'x')
}

/** GNSS states as protocol.md §5 maps them. */
function gnssState(status: string, fix: number, release: Release): string {
  if (status === 's2') return 'SYNCHRONIZED'
  if (fix > 0) return 'ACQUIRING-SYNC'
  return release === '4.14' ? 'ANTENNA-DISCONNECTED' : 'FAILURE-NOFIX'
}
