import { expect, test } from 'vitest'
import { DASHBOARDS } from '../../knative/dashboards.ts'
import { shippedDashboards } from './support/dashboards.ts'

test('the dashboards are those that `npm run docs` writes', () => {
  const written = Object.entries(DASHBOARDS).map(([path, dashboard]) => [path, dashboard()])
  expect(shippedDashboards()).toEqual(Object.fromEntries(written))
})
