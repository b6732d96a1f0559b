import { readFileSync } from 'node:fs'

/**
 * Loaded into a process of ours before all else (`--import`): sets its clock ahead by the milliseconds that are in the
 * file of its function's name, in the folder OWN_CLOCKS, each time that it looks at it.
 */
const file = `${process.env.OWN_CLOCKS}/${process.argv[2]}`
const right = Date.now
Date.now = () => right() + Number(readFileSync(file, 'utf8'))
