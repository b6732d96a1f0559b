/** Answers the jobs of the process that started this one, one after the other; ends with it. */
export function answering(work: (job: unknown) => Promise<object>): void {
  process.on('message', (job) => {
    void work(job).then((answer) => process.send?.(answer))
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ ready: true })
}
