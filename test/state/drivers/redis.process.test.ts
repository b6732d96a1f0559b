import { afterAll } from 'vitest'
import { driverContract } from './contract.ts'
import { processContract } from './processes.ts'
import { endRedisSubjects, makeRedisSubject } from './redis-subject.ts'

afterAll(endRedisSubjects)
driverContract('redis', makeRedisSubject)
processContract('redis', makeRedisSubject)
