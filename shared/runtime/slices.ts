/** How long work goes on before connections and other requests have a turn. Milliseconds. */
const SLICE = 4

/**
 * Runs what is ready in slices. Node.js accepts one connection in each turn of its event loop: with a hundred large
 * bodies in one turn nobody else would get in. What is `urgent` goes before what is not.
 */
export function createSlices(): { add(run: () => void, urgent: boolean): void } {
  const urgent: (() => void)[] = []
  const others: (() => void)[] = []
  let isRunning = false

  const slice = () => {
    const end = performance.now() + SLICE
    for (
      let run = urgent.shift() ?? others.shift();
      run !== undefined;
      run = urgent.shift() ?? others.shift()
    ) {
      run()
      if (performance.now() >= end) break
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
