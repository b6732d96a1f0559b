import { join } from 'node:path'
import type { Driver } from '#shared/state/store/driver.ts'
import { createMemoryDriver } from '#shared/state/drivers/memory.ts'
import { createSqliteDriver } from '#shared/state/drivers/sqlite.ts'
import { makeConfigMapSubject } from './configmap-subject.ts'
import type { Subject } from './contract.ts'
import { makeRedisSubject } from './redis-subject.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** The stores that tests can have for themselves, each empty. */
export const LOCAL_STORES: readonly { name: string; make: () => Promise<Subject> }[] = [
  {
    name: 'memory',
    async make() {
      const driver = createMemoryDriver()
      // The store outlives whoever closes a driver over it, as a file does.
      const open = async (): Promise<Driver> => driver
      return { open, cleanUp: async () => {} }
    },
  },
  {
    name: 'sqlite',
    async make() {
      const folder = await temporaryFolder()
      const open = () => createSqliteDriver(join(folder.path, 'state.db'))
      return { open, cleanUp: folder.remove }
    },
  },
  { name: 'configmap', make: makeConfigMapSubject },
  { name: 'redis', make: makeRedisSubject },
]
