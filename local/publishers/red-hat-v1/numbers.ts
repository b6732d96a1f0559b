/**
 * A metric after the hop between v1 publisher and sidecar, which parses it to a float64 and prints it
 * with Go's %v: exponents from 1e6 on, and `0` for what is no number (protocol.md §2.6).
 */
export function afterHop(metric: string): string {
  const number = Number(metric)
  if (metric.trim() === '' || Number.isNaN(number)) return '0'
  if (number === 0) return '0'
  const [digits = '', exponent = ''] = number.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 6) return String(number)
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
