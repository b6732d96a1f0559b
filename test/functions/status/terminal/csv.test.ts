import { expect, test } from 'vitest'
import { fleetCsv } from '#functions/status/terminal/csv.ts'
import { shownOf } from '#functions/status/shown.ts'
import { isoTime } from '#shared/time.ts'
import { defaultShown, clockAt, lockedNode } from '../../fleet.ts'

const NOW = Date.parse('2026-11-23T12:00:00Z')

test('a line for each node, ended as RFC 4180 asks', () => {
  const node = lockedNode('a', NOW, {
    labels: { site: 'north', region: 'x,y' },
    publisher: { url: 'http://p', dialect: 'red-hat-v2', reachable: true, checkedAt: isoTime(NOW) },
    clocks: [
      clockAt(NOW, 'lock-state', 'ens1', { state: 'FREERUN' }),
      clockAt(NOW - 200_000, 'lock-state', 'ens2', {}),
      clockAt(NOW, 'clock-class', 'node', { state: null, metrics: { clockClass: '248' } }),
    ],
  })
  expect(fleetCsv([shownOf(node, NOW, defaultShown)]).split('\r\n')).toEqual([
    'node,overall,stale,suspect,blind,since,not_after,lock_state,os_clock_sync_state,gnss_sync_status,sync_state,synce_lock_state,clock_class,ql,publisher,reachable,checked_at,missed,labels',
    'a,FREERUN,true,false,false,2026-11-23T12:00:00.000Z,,ens1=FREERUN ens2=LOCKED?,,,,,node=248,,http://p,true,2026-11-23T12:00:00.000Z,0,"site=north region=x,y"',
    '',
  ])
})

test.each([
  ['=HYPERLINK("http://x")', `"'=HYPERLINK(""http://x"")"`],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@x', "'@x"],
  ['\tx', `"'\tx"`],
  ['＝1', "'＝1"],
  ['a;=1', '"a;=1"'],
  ['a,b', '"a,b"'],
  ['a\r\nb', '"a\r\nb"'],
  ['\n=1', `"'\n=1"`],
  ['a\u001b[2Jb\u009bc\u202ed', 'a?[2Jb?c?d'],
])('the name %j stays a text in a spreadsheet', (name, cell) => {
  const text = fleetCsv([shownOf(lockedNode(name, NOW, { clocks: [] }), NOW, defaultShown)])
  expect(text.slice(text.indexOf('\r\n') + 2).startsWith(`${cell},UNKNOWN,`)).toBe(true)
})
