import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createRedHatV2 } from '#local/publishers/index.ts'
import { catalogue } from '#functions/catalogue.ts'
import { type BundledPackage, bundle } from '../../build.ts'
import { notification } from '../functions/ingest/notifications.ts'
import { startRedis } from '../support/redis.ts'
import { createImage, type Image, readRecipe } from './support/container.ts'
import { ended, served } from './support/processes.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'ptp-watch-bundle-'))
let packages: readonly BundledPackage[]
let image: Image

beforeAll(async () => {
  packages = await bundle(join(folder, 'dist'))
  image = createImage(join(folder, 'dist'))
})

afterAll(() => {
  image.remove()
  rmSync(folder, { recursive: true })
})

describe('the bundle', () => {
  it('brings our licence and the text of every package that is in it', () => {
    const notices = readFileSync(join(folder, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    const names = packages.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['undici', 'zod', 'yaml', '@redis/client']))
    for (const { name, version, text } of packages) {
      expect(notices).toContain(`${name} ${version}`)
      expect(notices).toContain(text.trim())
      expect(text).toMatch(/copyright/i)
    }
    expect(readFileSync(join(folder, 'dist/LICENSE'), 'utf8')).toContain('Apache License')
  })

  // `npm sbom --omit dev` would leave out what a development dependency wants as well: yaml, say.
  it('has all that is in it named by the bill of materials', () => {
    const bill = JSON.parse(execFileSync('npm', ['run', '--silent', 'sbom'], { cwd: ROOT, encoding: 'utf8' }))
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX' })
    const named = bill.components.map(({ purl }: { purl: string }) => decodeURIComponent(purl))
    for (const { name, version } of packages) expect(named).toContain(`pkg:npm/${name}@${version}`)
  })

  it('holds nothing but modules and licences', () => {
    const others = readdirSync(join(folder, 'dist')).filter((name) => !name.endsWith('.mjs'))
    expect(others.sort()).toEqual(['LICENSE', 'THIRD-PARTY-LICENSES.txt', 'page'])
  })

  it('has no packages that tests and other hosts alone need', () => {
    const names = packages.map(({ name }) => name)
    for (const name of ['@google-cloud/functions-framework', 'express', 'vitest', 'rolldown', 'fast-check']) {
      expect(names).not.toContain(name)
    }
  })
})

describe('the Containerfile', () => {
  const { entryPoint, user, instructions, copied } = readRecipe()

  it('copies all that the bundle is made of, and nothing that .containerignore keeps away', () => {
    const stage = join(folder, 'stage')
    for (const path of copied) cpSync(join(ROOT, path), join(stage, path), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(stage, 'node_modules'))
    execFileSync(process.execPath, ['build.ts'], { cwd: stage })
    // Hashes go by the paths of the packages too.
    const names = (path: string) =>
      readdirSync(path)
        .map((name) => name.replace(/-.{8}\.mjs$/, ''))
        .sort()
    expect(names(join(stage, 'dist'))).toEqual(names(join(folder, 'dist')))
    const allowed = readFileSync(join(ROOT, '.containerignore'), 'utf8').match(/(?<=^!).+$/gm)
    expect([...copied].sort()).toEqual(allowed?.sort())
  })

  it('runs nothing in the image, which has no shell', () => {
    expect(instructions).not.toContain('RUN')
    expect([entryPoint[0], entryPoint.at(-1)]).toEqual(['/nodejs/bin/node', '/app/main.mjs'])
  })

  it('names a user by number, so that runAsNonRoot can tell', () => {
    expect(user).toMatch(/^[1-9]\d*(:[1-9]\d*)?$/)
  })
})

describe('in the container that the tests make', () => {
  it('there is no capability, no way to write and nothing beside Node.js, its libraries and the bundle', async () => {
    const script = `
      import { readdirSync, writeFileSync } from 'node:fs'
      const refused = (path) => { try { writeFileSync(path, ''); return 'written' } catch (e) { return e.code } }
      console.log(JSON.stringify({
        root: readdirSync('/').sort(),
        user: process.getuid(),
        writes: ['/x', '/app/x', '/app/main.mjs', '/nodejs/bin/node'].map(refused),
        node: process.version,
      }))`
    const { code, out, err } = await ended(image.evaluate(script))
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const seen = JSON.parse(out)
    expect(seen.root.filter((name: string) => !/^(lib\d*|usr)$/.test(name))).toEqual(['app', 'nodejs'])
    for (const refusal of seen.writes) expect(['EROFS', 'EACCES']).toContain(refusal)
    expect(seen.node).toMatch(/^v24\./)
    if (process.getuid?.() === 0) expect(seen.user).toBe(1_000_650_000)
  })

  it.each(Object.keys(catalogue))('%s shows its help', async (name) => {
    const { code, out } = await ended(image.run([name, '--help']))
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(`ptp-watch ${name}`) })
  })

  it('all functions work', async () => {
    const publisher = createRedHatV2({ node: 'node1.example.com', release: 'main', warmUpMs: 0 })
    await publisher.listen()
    onTestFinished(() => publisher.close())
    const common = {
      STATE_URL: 'memory:',
      CALLBACK_SECRET: 'a secret of the bundle tests',
      SETTLE_SECONDS: '0.2',
      HOST: '127.0.0.1',
      PORT: '0',
    }
    const ingest = await served(
      image.run(['ingest'], {
        ...common,
        PUBLISHERS: JSON.stringify([{ node: publisher.node, url: publisher.url }]),
      }),
    )
    const fleet = { ...common, CALLBACK_URL: ingest, PUBLISHERS: '/etc/ptp-watch/publishers.yaml' }
    image.mount(fleet.PUBLISHERS, `- node: node1.example.com\n  url: ${publisher.url}\n`)

    const subscribed = await ended(image.run(['subscribe'], fleet))
    expect(subscribed).toMatchObject({ code: 0 })
    expect(publisher.deliveries.some(({ outcome }) => outcome === 204)).toBe(true)
    const polled = await ended(image.run(['poll'], fleet))
    expect(polled).toMatchObject({ code: 0, out: '1 of 1 publishers polled\n' })
    const poll = await served(image.run(['poll', '--serve'], fleet))
    expect((await request(`${poll}/tick`, { method: 'POST' })).statusCode).toBe(202)

    // Nothing is known of its clocks, which is to be told.
    const examined = await ended(image.run(['doctor'], fleet))
    expect(examined).toMatchObject({
      code: 1,
      out: expect.stringContaining('initial notification and got 204'),
    })
    expect(examined.out).toContain('FAILED   current-state   lock-state: ')

    const status = await served(image.run(['status', '--serve'], common))
    expect((await request(`${status}/api/nodes`)).statusCode).toBe(200)
    expect(await ended(image.run(['status'], common))).toMatchObject({ code: 0 })
  })

  it.each([
    ['nobody', ''],
    ['the default user', ':secret-1@'],
    ['a user of its own', 'ptp:secret-2@'],
  ])('logs in to Redis as %s, though it carries few of its commands', async (who, login) => {
    const redis = await startRedis({ config: login === '' ? [] : ['requirepass secret-1'] })
    onTestFinished(redis.close)
    const admin = login === '' ? [] : ['--no-auth-warning', '-a', 'secret-1']
    if (who === 'a user of its own') {
      await redis.cli(['ACL', 'SETUSER', 'ptp', 'on', '>secret-2', '~ptpwatch:*', '+@all'], admin)
    }
    const env = { STATE_URL: `redis://${login}127.0.0.1:${redis.port}/1`, HOST: '127.0.0.1', PORT: '0' }
    const ingest = await served(
      image.run(['ingest'], { ...env, PUBLISHERS: '[{"node":"a","url":"http://x"}]' }),
    )
    const event = notification({ node: 'a', word: 'FREERUN', at: '2026-11-23T03:48:28.489302008Z' })
    const posted = await request(`${ingest}/event/a`, { method: 'POST', body: JSON.stringify(event) })
    expect(posted.statusCode).toBe(204)
    const shown = await ended(image.run(['status', '--json'], env))
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('FREERUN') })
  })
})
