import type { Metrics } from '#shared/metrics.ts'

export type PollMetrics = ReturnType<typeof createPollMetrics>

/** What poll counts. */
export function createPollMetrics(metrics: Metrics) {
  return {
    polls: metrics.counter({
      name: 'ptp_watch_polls_total',
      help: 'Polls of a publisher, by whether all of it went well.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    lightPolls: metrics.counter({
      name: 'ptp_watch_light_polls_total',
      help: 'Polls of a publisher for what decides its overall state alone, by whether all of it went well.',
      labels: { outcome: ['ok', 'failed'] },
    }),
    rounds: metrics.counter({
      name: 'ptp_watch_poll_rounds_total',
      help: 'Rounds of poll --every, by whether the store took what they brought.',
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
      help: 'Questions for a CurrentState, by whether the publisher had one to tell.',
      labels: { outcome: ['answered', 'none', 'failed'] },
    }),
    pullSeconds: metrics.histogram({
      name: 'ptp_watch_pull_duration_seconds',
      help: 'Time until the answer to a question for a CurrentState.',
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 5],
    }),
    missed: metrics.counter({
      name: 'ptp_watch_missed_transitions_total',
      help: 'Transitions that only a poll has shown, and that no push has dated by the next one.',
    }),
    disagreements: metrics.counter({
      name: 'ptp_watch_disagreements_total',
      help: 'Clocks whose pulled state had contradicted the newest push for longer than the settle time.',
    }),
    running: metrics.gauge({ name: 'ptp_watch_poll_running', help: '1 while a poll runs.' }),
  }
}
