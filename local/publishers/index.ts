export type { FaultChange, StateAnswer } from './faults.ts'
export { createLinuxptpDaemon } from './linuxptp-daemon/index.ts'
export type { ClockChange, Kind } from './clocks/clock.ts'
export type {
  Delivery,
  HeldSubscription,
  Publisher,
  PublisherOptions,
  PublisherSummary,
  RestartOptions,
} from './publisher.ts'
export { createRedHatV1, type RedHatV1Options } from './red-hat-v1/index.ts'
export { createRedHatV2, type RedHatV2Options } from './red-hat-v2/index.ts'
export { createStarlingX, type StarlingX, type StarlingXOptions } from './starlingx/index.ts'
