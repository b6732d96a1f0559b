import type { Metrics } from '#shared/metrics.ts'

export type PollMetrics = ReturnType<typeof createPollMetrics>

/** What poll counts. */
export function createPollMetrics(metrics: Metrics) {
  return {
    polls: metrics.counter({
      name: 'ptp_watch_polls_total',
      help: 'Full polls of a publisher, by result.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    lightPolls: metrics.counter({
      name: 'ptp_watch_light_polls_total',
      help: 'Light polls of a publisher (only the clocks that decide the state of the node), by result.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    rounds: metrics.counter({
      name: 'ptp_watch_poll_rounds_total',
      help: 'Rounds of poll --every, by whether the store accepted the results.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    roundSeconds: metrics.histogram({
      name: 'ptp_watch_poll_round_duration_seconds',
      help: 'Duration of a round of poll --every.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    }),
    lateRounds: metrics.counter({
      name: 'ptp_watch_poll_late_rounds_total',
      help: 'Rounds of poll --every that took longer than the interval.',
    }),
    pulls: metrics.counter({
      name: 'ptp_watch_pulls_total',
      help: 'CurrentState requests, by result: answered, no state (none), or failed.',
      labels: { outcome: ['answered', 'none', 'failed'] },
    }),
    pullSeconds: metrics.histogram({
      name: 'ptp_watch_pull_duration_seconds',
      help: 'Response time of CurrentState requests.',
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 5],
    }),
    missed: metrics.counter({
      name: 'ptp_watch_missed_transitions_total',
      help: 'Transitions found only by polling, without a push by the next poll.',
    }),
    disagreements: metrics.counter({
      name: 'ptp_watch_disagreements_total',
      help: 'Clocks whose polled state contradicted the newest push for longer than the settle time.',
    }),
    running: metrics.gauge({ name: 'ptp_watch_poll_running', help: '1 while a poll runs.' }),
  }
}
