import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that wait nearly all of their time begin between those that work, rather than one after another at the end. */
export default class WaitingBetween extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const waits = ({ moduleId }: TestSpecification) => /\.long\.ts$|told\.process\.test\.ts$/.test(moduleId)
    const sorted = await super.sort(files)
    const waiting = sorted.filter(waits)
    const working = sorted.filter((file) => !waits(file))
    const between = working.flatMap((file, i) => [...(i % 2 === 0 ? waiting.splice(0, 1) : []), file])
    return [...between, ...waiting]
  }
}
