/** How long urgent work goes on before connections and other requests have a turn, and how long other work. Milliseconds. */
const SLICE = 4
const OTHERS = 1

/**
 * Runs what is ready in slices. Node.js accepts one connection in each turn of its event loop: with a hundred large
 * bodies in one turn nobody else would get in, and with a thousand clients that are refused and come back, each turn counts.
 * What is `urgent` goes before what is not.
 */
export function createSlices(): { add(run: () => void, urgent: boolean): void } {
  const urgent: (() => void)[] = []
  const others: (() => void)[] = []
  let isRunning = false

  const slice = () => {
    const start = performance.now()
    let spent = 0
    while (spent < SLICE) {
      const run = urgent.shift() ?? (spent < OTHERS ? others.shift() : undefined)
      if (run === undefined) break
      run()
      spent = performance.now() - start
    }
    isRunning = urgent.length + others.length > 0
    if (isRunning) setImmediate(slice)
  }

  return {
    add(run, isUrgent) {
      if (isUrgent) urgent.push(run)
      else others.push(run)
      if (isRunning) return
      isRunning = true
      setImmediate(slice)
    },
  }
}
